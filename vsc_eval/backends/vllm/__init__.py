"""vLLM as a backend: the same questions, conditions and readings as the Hugging Face engine, at vLLM's speed.

Nothing here imports vllm before it is needed; no other part of vsc_eval does at all.
"""

"""`--backend vllm`: the same questions, conditions and readings as of the Hugging Face engine, at vLLM's speed.

vLLM takes the accelerator that it finds. Nothing here imports vllm before it is needed; no other part of vsc_eval does
at all.
"""

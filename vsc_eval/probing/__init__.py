"""Which decoder layer carries the task: linear probes on every layer, their controls, and the rule that picks one."""

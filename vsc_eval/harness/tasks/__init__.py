"""Task files as lm-eval's tasks, and `vsc-eval tasks`."""

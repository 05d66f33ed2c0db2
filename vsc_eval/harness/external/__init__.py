"""External data sets: from a task file to documents that lm-eval asks, scores and reports."""

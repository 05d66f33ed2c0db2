"""lm-evaluation-harness with our models, tasks and metrics. The only part of the package that sees `lm_eval`.

Importing this package loads nothing; each module is imported by its own name.
"""

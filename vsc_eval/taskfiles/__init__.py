"""Task files: one YAML declares a data set, how its rows become questions and how the answers are scored.

This part reads files and rows; loading the data and asking a model is the harness's. Each module is imported by name.
"""

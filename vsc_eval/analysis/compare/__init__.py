"""Two finished runs side by side, item by item: `vsc-eval compare`.

It reads run.yaml and answers.parquet and needs neither torch nor lm_eval. Importing this package loads nothing; each
module is imported by its own name.
"""

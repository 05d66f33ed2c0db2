"""Two finished runs side by side, item by item: `vsc-eval compare`. Needs neither torch nor lm_eval."""

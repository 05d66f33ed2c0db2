"""The Python interface: what `import vsc_eval as vsc` offers.

activations: what features do on one prompt; frames: records as DataFrames; intervention: an SAE with its feature sets,
and edits of them; model: one model, asked freely; plots: figures of a run; runs: a run and a study, started or read
from disk.
"""

import warnings
from importlib import import_module

with warnings.catch_warnings():
    # At its first import in a notebook without ipywidgets, tqdm complains; the bars of a run are not its own.
    warnings.filterwarnings("ignore", "IProgress not found")
    import_module("tqdm.auto")

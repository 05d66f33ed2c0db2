"""Section 2: what the sparse autoencoder keeps of the activations and of the model."""

from __future__ import annotations

from vsc_eval.analysis.run_tables import NONE, TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, paragraphs, table
from vsc_eval.studies.report.words import decimal, share


def section(results: StudyResults) -> str:
    quality, splice, train = results.reconstruction, results.splice, results.spec.sae.train
    rows = (
        ("activation", code(train.activation)),
        ("features", str(quality.d_sae)),
        ("tokens learnt from", str(train.n_tokens)),
        ("fraction of variance unexplained", decimal(quality.fvu)),
        ("mean features a token (L0)", decimal(quality.mean_l0, 2)),
        ("features that never fired", f"{quality.n_dead} of {quality.d_sae}"),
        ("loss, plain model", decimal(splice.loss_plain)),
        ("loss, reading the reconstruction", decimal(splice.loss_spliced)),
        ("accuracy %, plain model", share(splice.accuracy_plain)),
        ("accuracy %, reading the reconstruction", share(splice.accuracy_spliced)),
    )
    undefined = (f"{NONE}: the activations are constant.",) if quality.fvu is None else ()
    text = TextTable(
        title=f"The SAE of layer {results.layer}, on the `select` split",
        columns=("", "value"),
        rows=rows,
        notes=(
            f"Reconstruction: n = {quality.n_tokens} tokens. Loss (nats, of the right letter, full vocabulary) and "
            f"accuracy: n = {splice.n_items} items, no intervals. Edits add to the activation and leave the SAE's "
            "error in it.",
            *undefined,
        ),
    )
    return paragraphs(["## 2. The sparse autoencoder", table(text)])

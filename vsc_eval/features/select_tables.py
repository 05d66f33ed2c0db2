"""What `vsc-eval sae select` prints."""

from collections.abc import Sequence

from vsc_eval.features.sae_select import Selected
from vsc_eval.tables.numbers import counted, decimal
from vsc_eval.tables.table import Cell, Table, cell, columns, table


def select_tables(selected: Selected) -> tuple[Table, ...]:
    """The SAE's figures, the sets with their stability, and how alike they are."""
    overlap = selected.overlap
    reference = overlap.decoder_cosine_random
    between_random = "too few features fire" if reference is None else decimal(reference, 2)
    disjoint = all(value == 0 for i, row in enumerate(overlap.jaccard) for j, value in enumerate(row) if i != j)
    shared = "No feature is in two sets. " if disjoint else ""
    note = f"{shared}Between random sets of this SAE: {between_random}."
    jaccard = [] if disjoint else [_matrix("Shared features: Jaccard", None, overlap.names, overlap.jaccard)]
    cosines = _matrix("Decoder rows: mean max cosine", note, overlap.names, overlap.decoder_cosine)
    directions = _matrix("Mean directions: cosine", None, overlap.names, overlap.mean_delta_cosine)
    return (_quality(selected), _sets(selected), *jaccard, cosines, directions)


def _quality(selected: Selected) -> Table:
    figures, splice = selected.quality.reconstruction, selected.quality.splice
    tokens, items = counted(figures.n_tokens, "token"), counted(splice.n_items, "item")
    fvu = cell(None if figures.fvu is None else decimal(figures.fvu), missing="constant activations")
    loss = f"{decimal(splice.loss_plain)} -> {decimal(splice.loss_spliced)}"
    accuracy = f"{decimal(splice.accuracy_plain, 3)} -> {decimal(splice.accuracy_spliced, 3)}"
    return table(
        "quality",
        f"SAE on the '{selected.quality.split}' split, layer {selected.intervention.layer}",
        columns("figure", "value", "n"),
        [
            ("fraction of variance unexplained", fvu, tokens),
            ("dead features", f"{figures.n_dead} of {figures.d_sae}", tokens),
            ("mean L0", decimal(figures.mean_l0, 2), tokens),
            ("loss, plain -> spliced (nats)", loss, items),
            ("accuracy, plain -> spliced", accuracy, items),
        ],
    )


def _sets(selected: Selected) -> Table:
    sets, draws = selected.intervention.sets, selected.stability.draws
    rows = []
    for place, (chosen, stable) in enumerate(zip(sets, selected.stability.sets, strict=True), start=1):
        short = f", {stable.n_short} short" if stable.n_short else ""
        scores = f"{decimal(chosen.scores[0], 3)} to {decimal(chosen.scores[-1], 3)}"
        stability = Cell(stable.jaccard_mean, stable.jaccard_low, stable.jaccard_high, suffix=short)
        rows.append((f"{place} {chosen.name}", scores, stability, ", ".join(map(str, chosen.indices[:3]))))
    return table(
        "sets",
        f"Sets of {len(sets[0].indices)} features in {selected.path}",
        columns("set", "scores", ("stability", "decimal", "", "", 40, 2), "first of them"),
        rows,
        [f"stability: Jaccard overlap with the sets of {draws} bootstrap samples of orbits, mean [95 %]"],
    )


def _matrix(title: str, note: str | None, names: tuple[str, ...], matrix: Sequence[Sequence[float | None]]) -> Table:
    # Names as column heads would not fit a terminal.
    places = range(1, len(names) + 1)
    heads = columns("set", *((str(place), "decimal", "", "", 40, 2) for place in places))
    rows = [(f"{place} {name}", *row) for place, name, row in zip(places, names, matrix, strict=True)]
    return table("overlap", title, heads, rows, [note])

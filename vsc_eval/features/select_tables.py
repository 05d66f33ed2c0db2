"""What `vsc-eval sae select` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vsc_eval.features.sae_select import SAEQuality, Selected


def select_tables(selected: Selected) -> tuple[Table, ...]:
    """The SAE's figures, the sets with their stability, and how alike they are."""
    return (_quality(selected.quality, selected.intervention.layer), _sets(selected), *_overlaps(selected))


def _quality(quality: SAEQuality, layer: int) -> Table:
    figures, splice = quality.reconstruction, quality.splice
    table = Table(title=f"SAE on the '{quality.split}' split, layer {layer}")
    for column in ("figure", "value", "n"):
        table.add_column(column)
    tokens, items = f"{figures.n_tokens:,} tokens", f"{splice.n_items:,} items"
    fvu = "undefined (constant activations)" if figures.fvu is None else f"{figures.fvu:.4f}"
    table.add_row("fraction of variance unexplained", fvu, tokens)
    table.add_row("dead features", f"{figures.n_dead} of {figures.d_sae}", tokens)
    table.add_row("mean L0", f"{figures.mean_l0:.2f}", tokens)
    table.add_row("loss, plain -> spliced (nats)", f"{splice.loss_plain:.4f} -> {splice.loss_spliced:.4f}", items)
    table.add_row("accuracy, plain -> spliced", f"{splice.accuracy_plain:.3f} -> {splice.accuracy_spliced:.3f}", items)
    return table


def _sets(selected: Selected) -> Table:
    draws, size = selected.stability.draws, len(selected.intervention.sets[0].indices)
    table = Table(
        title=f"Sets of {size} features in {selected.path}",
        caption=f"stability: Jaccard overlap with the sets of {draws} bootstrap samples of orbits, mean [95 %]",
    )
    table.add_column("set", no_wrap=True)
    table.add_column("scores", no_wrap=True)
    table.add_column("stability", no_wrap=True)
    table.add_column("first of them", no_wrap=True)
    for place, (chosen, stable) in enumerate(
        zip(selected.intervention.sets, selected.stability.sets, strict=True), start=1
    ):
        overlap = f"{stable.jaccard_mean:.2f} [{stable.jaccard_low:.2f}, {stable.jaccard_high:.2f}]"
        if stable.n_short:
            overlap += f", {stable.n_short} short"
        table.add_row(
            f"{place} {chosen.name}",
            f"{chosen.scores[0]:.3f} to {chosen.scores[-1]:.3f}",
            overlap,
            ", ".join(map(str, chosen.indices[:3])),
        )
    return table


def _overlaps(selected: Selected) -> tuple[Table, ...]:
    overlap = selected.overlap
    reference = overlap.decoder_cosine_random
    between_random = "too few features fire" if reference is None else f"{reference:.2f}"
    disjoint = all(value == 0 for i, row in enumerate(overlap.jaccard) for j, value in enumerate(row) if i != j)
    shared = "No feature is in two sets. " if disjoint else ""
    tables = [
        _matrix(
            "Decoder rows: mean max cosine",
            f"{shared}Between random sets of this SAE: {between_random}.",
            overlap.names,
            overlap.decoder_cosine,
        ),
        _matrix("Mean directions: cosine", None, overlap.names, overlap.mean_delta_cosine),
    ]
    if not disjoint:
        tables.insert(0, _matrix("Shared features: Jaccard", None, overlap.names, overlap.jaccard))
    return tuple(tables)


def _matrix(title: str, caption: str | None, names: tuple[str, ...], matrix: Sequence[Sequence[float | None]]) -> Table:
    table = Table(title=title, caption=caption)
    table.add_column("set", no_wrap=True)
    # Names as column heads would not fit a terminal.
    for place in range(1, len(names) + 1):
        table.add_column(str(place), justify="right")
    for place, (name, row) in enumerate(zip(names, matrix, strict=True), start=1):
        table.add_row(f"{place} {name}", *("-" if value is None else f"{value:.2f}" for value in row))
    return table

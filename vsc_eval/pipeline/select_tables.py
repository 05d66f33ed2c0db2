"""What `vsc-eval sae select` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vsc_eval.pipeline.sae_select import SAEQuality, Selected


def select_tables(selected: Selected) -> tuple[Table, ...]:
    """The SAE's figures, the sets with their stability, and how alike they are."""
    return (_quality(selected.quality, selected.suite.layer), _sets(selected), *_overlaps(selected))


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
    draws = selected.stability.draws
    table = Table(
        title=f"Feature sets in {selected.path}",
        caption=f"stability: Jaccard overlap with the sets of {draws} bootstrap samples of orbits, mean [95 %]",
    )
    for column in ("set", "features", "best score", "worst score", "stability", "first indices"):
        table.add_column(column)
    for chosen, stable in zip(selected.suite.sets, selected.stability.sets, strict=True):
        first = ", ".join(map(str, chosen.indices[:6]))
        best, worst = f"{chosen.scores[0]:.3f}", f"{chosen.scores[-1]:.3f}"
        overlap = f"{stable.jaccard_mean:.2f} [{stable.jaccard_low:.2f}, {stable.jaccard_high:.2f}]"
        if stable.n_short:
            overlap += f", {stable.n_short} short"
        table.add_row(chosen.name, str(len(chosen.indices)), best, worst, overlap, first)
    return table


def _overlaps(selected: Selected) -> tuple[Table, ...]:
    overlap = selected.overlap
    reference = overlap.decoder_cosine_random
    between_random = "too few features fire" if reference is None else f"{reference:.2f}"
    parts: tuple[tuple[str, str, Sequence[Sequence[float | None]]], ...] = (
        ("Shared features (Jaccard)", "", overlap.jaccard),
        ("Decoder rows: mean max cosine", f"between random sets of this SAE: {between_random}", overlap.decoder_cosine),
        ("Mean directions: cosine", "", overlap.mean_delta_cosine),
    )
    return tuple(_matrix(title, caption, overlap.names, matrix) for title, caption, matrix in parts)


def _matrix(title: str, caption: str, names: tuple[str, ...], matrix: Sequence[Sequence[float | None]]) -> Table:
    table = Table(title=title, caption=caption or None)
    table.add_column("set")
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, matrix, strict=True):
        table.add_row(name, *("-" if value is None else f"{value:.2f}" for value in row))
    return table

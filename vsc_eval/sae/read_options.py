"""What is known about an SAE besides its files."""

from pathlib import Path
from typing import Literal

from vsc_eval.errors import SpecError
from vsc_eval.specs import Spec


class ReadOptions(Spec):
    """What a layout's files may not tell. None: as the files say, or the layout's default."""

    layout: str = "auto"
    """Library that wrote it: saelens, sparsify, dictionary_learning, qwen_scope, gemma_scope; told by the files' names
    unless given."""
    layer: int | None = None
    """0-based decoder layer whose output it reads, for files that do not say it; also picks the SAE where one folder
    holds several."""
    hook: str | None = None
    """Subfolder of the SAE where one repository holds several, such as layers.12 or layer_20/width_16k/..."""
    k: int | None = None
    """Active features a token of a Top-K SAE, where no name or config says it."""
    activation: Literal["topk", "batchtopk"] | None = None
    """Of dictionary_learning's ae.pt without its config.json."""
    keep_negative: bool = False
    """Qwen-Scope: keep negative values among the top k, which SAELens drops."""

    def agreed(self, name: Literal["layer", "k"], said: int | None, path: Path) -> int | None:
        """The value that the files say or the caller gave; raises SpecError where they differ."""
        asked: int | None = getattr(self, name)
        if said is not None and asked is not None and said != asked:
            raise SpecError(
                f"{path} is an SAE with {name} {said}, not {asked}.", hint=f"Leave `{name}` out, or fix it."
            )
        return asked if said is None else said

"""What an SAE's features do at every token of one prompt, and where in the picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from vsc_eval.api.plots import over_picture
from vsc_eval.backends.hf.forward import layer_outputs
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.sae.model import SAE, check_width

Floats = npt.NDArray[np.float32]
Images = str | Path | Image.Image | Sequence[str | Path | Image.Image] | None
"""A picture or its file, several of them, or None for a question without one."""


@dataclass(frozen=True, eq=False, repr=False)
class Activations:
    """Feature activations of one prompt at the output of one decoder layer, without any edit.

    Kept sparse: what an SAE of 100,000 features says of a thousand tokens would else be half a gigabyte.
    """

    layer: int
    d_sae: int
    tokens: tuple[str, ...]
    """The prompt as the model reads it, chat template included; T tokens, in the tokenizer's spelling."""
    is_image: npt.NDArray[np.bool_]
    """[T]: the token stands for a patch of the picture."""
    indices: npt.NDArray[np.int64]
    """[T, k]: features that may fire at each token."""
    strengths: Floats
    """[T, k]: their activations; 0 where one does not fire."""
    image: Image.Image | None
    grid: tuple[int, int] | None
    """Rows and columns of the picture's patches; None where they are not one rectangle that is known: without a
    picture, with several, or where a processor cuts it into tiles."""

    @property
    def values(self) -> Floats:
        """All features, dense: [features, T]."""
        dense = np.zeros((self.d_sae, len(self.tokens)), dtype=np.float32)
        dense[self.indices, np.arange(len(self.tokens))[:, None]] = self.strengths
        return dense

    def __getitem__(self, feature: int) -> Floats:
        """One feature at every token, [T]. Raises SpecError for one that the SAE does not have."""
        if not 0 <= feature < self.d_sae:
            raise SpecError(
                f"There is no feature {feature}: the SAE has {self.d_sae}.", hint=f"Use 0 to {self.d_sae - 1}."
            )
        found: Floats = np.where(self.indices == feature, self.strengths, np.float32(0)).sum(axis=1)
        return found

    def patches(self, feature: int) -> Floats:
        """One feature over the picture, [rows, columns] of patches. Raises BackendError where there is no grid."""
        if self.grid is None:
            raise BackendError(
                "The patches of this prompt are not one known rectangle.",
                hint="Ask with exactly one picture, of a model that does not cut it into tiles; else see `is_image`.",
            )
        return self[feature][self.is_image].reshape(self.grid)

    def top(self, n: int = 10, *, where: Literal["all", "image", "text"] = "all") -> pd.DataFrame:
        """The `n` features that fire most strongly at some token, of all, the picture's or the others: feature,
        largest, mean (over these tokens) and n_tokens (of these at which it fires)."""
        tokens = {"all": np.ones_like(self.is_image), "image": self.is_image, "text": ~self.is_image}[where]
        fired = (self.strengths > 0) & tokens[:, None]
        found = pd.DataFrame({"feature": self.indices[fired], "strength": self.strengths[fired].astype(float)})
        table = found.groupby("feature")["strength"].agg(largest="max", mean="sum", n_tokens="size").reset_index()
        table["mean"] /= max(1, int(tokens.sum()))
        return table.sort_values("largest", ascending=False, ignore_index=True).head(n)

    def plot(self, feature: int, ax: Any = None) -> Any:
        """The feature over the picture: matplotlib's Axes. Raises as `patches`."""
        assert self.image is not None or self.grid is None
        return over_picture(self.patches(feature), self.image, f"feature {feature}, layer {self.layer}", ax)

    def __repr__(self) -> str:
        n_fired = len(np.unique(self.indices[self.strengths > 0]))
        grid = "no grid" if self.grid is None else f"{self.grid[0]} x {self.grid[1]} patches"
        return f"Activations({self.d_sae} features x {len(self.tokens)} tokens, {n_fired} fire, {grid})"


def activations(vlm: LoadedVLM, sae: SAE, layer: int, image: Images, question: str) -> Activations:
    """See Intervention.activations."""
    if next(vlm.model.parameters()).is_meta:
        raise BackendError(
            f"'{vlm.name}' runs in vLLM, which gives no activations.", hint="Load it with backend='hf' as well."
        )
    check_width(sae.cfg, vlm.decoder.d_model)
    given = pictures(image)
    inputs = encode_prompts(vlm, [Prompt(question, given)])
    hidden = layer_outputs(vlm.model, vlm.decoder, inputs.tensors, (layer,))[layer][0]
    codes = sae.to(hidden.device).encode_sparse(hidden)
    is_image = inputs.image_mask[0].cpu().numpy()
    return Activations(
        layer=layer,
        d_sae=sae.cfg.d_sae,
        tokens=tuple(vlm.tokenizer.convert_ids_to_tokens(inputs.tensors["input_ids"][0].tolist())),
        is_image=is_image,
        indices=codes.indices.cpu().numpy(),
        strengths=codes.values.detach().cpu().numpy(),
        image=given[0] if len(given) == 1 else None,
        grid=_grid(vlm, inputs, is_image) if len(given) == 1 else None,
    )


def _grid(vlm: LoadedVLM, inputs: BatchInputs, is_image: npt.NDArray[np.bool_]) -> tuple[int, int] | None:
    """Rows and columns of the picture's tokens, as far as the processor says: the Qwen-VL family tells the grid before
    patches are merged; where one square picture becomes one square run of tokens, there is no other way to lay it."""
    places = np.flatnonzero(is_image)
    if len(places) != places[-1] - places[0] + 1:
        return None
    told = inputs.tensors.get("image_grid_thw")
    if told is not None:
        merge = int(getattr(vlm.processor.image_processor, "merge_size", 1))
        frames, height, width = told[0].tolist()
        found = (height // merge, width // merge)
        return found if frames == 1 and found[0] * found[1] == len(places) else None
    pixels = inputs.tensors.get("pixel_values")
    side = math.isqrt(len(places))
    tiles = pixels.shape[:-3].numel() if pixels is not None and pixels.ndim >= 4 else 0
    is_square = pixels is not None and tiles == 1 and pixels.shape[-1] == pixels.shape[-2]
    return (side, side) if is_square and side * side == len(places) else None


def pictures(given: Images) -> tuple[Image.Image, ...]:
    """The pictures, opened. Raises DataError for a file that cannot be read."""
    if given is None:
        return ()
    if isinstance(given, str | Path):
        try:
            with Image.open(given) as opened:
                opened.load()
                return (opened,)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"The picture {given} cannot be read: {error}.", hint="Give another file.") from error
    if isinstance(given, Image.Image):
        return (given,)
    return tuple(picture for each in given for picture in pictures(each))

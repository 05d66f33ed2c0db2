"""Patch embeddings as matrix products on a CPU.

Qwen-VL models cut a picture into patches beforehand and then run a 3-D convolution whose kernel is as large as a patch:
one product for each patch, in truth. On a CPU the convolution takes three times as long as that product (0.24 s against
0.07 s of vsc-tiny's 1.4 s for 32 pictures).
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional


def embed_patches_by_products(model: nn.Module) -> int:
    """Replace the forward of every convolution that reads whole patches; returns how many there were.

    Same weights, same sums in another order: results differ by rounding (about 1e-6 in float32).
    """
    found = 0
    for module in model.modules():
        if type(module) is nn.Conv3d and _reads_whole_patches(module):
            module.forward = partial(_product, module)  # type: ignore[method-assign]
            found += 1
    return found


def _reads_whole_patches(convolution: nn.Conv3d) -> bool:
    return (
        convolution.kernel_size == convolution.stride
        and convolution.groups == 1
        and set(convolution.dilation) == {1}
        and convolution.padding in ("valid", (0, 0, 0))
    )


def _product(convolution: nn.Conv3d, patches: Tensor) -> Tensor:
    """[n, channels, *kernel] -> [n, out, 1, 1, 1]; larger inputs go through the convolution itself."""
    if patches.ndim != 5 or tuple(patches.shape[2:]) != convolution.kernel_size:
        return nn.Conv3d.forward(convolution, patches)
    out = functional.linear(patches.flatten(1), convolution.weight.flatten(1), convolution.bias)
    return out[:, :, None, None, None]

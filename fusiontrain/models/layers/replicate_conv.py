"""3 x 3 convolutions that repeat the border's pixels, laid out as a processor multiplies best.

On the CPU an image is kept channels last: the border is continued once, and the library's
convolution then runs at the speed of a matrix product. So do its gradients with AVX-512. Without,
the gradient towards the input is a convolution again, and that of the taps nine products of what
is shifted with what came back, without a copy of either. Of `nn.Conv2d(...,
padding_mode="replicate")`, which it is elsewhere and for groups, all take half as long again to
three times as long.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SIDE = 3
_ROWS = 4096  # pixels whose features stay in the cache
_LIBRARY = torch.backends.cpu.get_cpu_capability() == "AVX512"  # its gradients are the faster ones
_NATIVE_BF16 = _LIBRARY and torch.cpu._is_avx512_bf16_supported()  # no public way asks


class ReplicateConv2d(nn.Conv2d):
    """(S, inputs, H, W) -> (S, outputs, H, W); flat stays flat. Parameters as of nn.Conv2d."""

    def __init__(self, inputs: int, outputs: int, *, groups: int = 1) -> None:
        super().__init__(inputs, outputs, _SIDE, padding=1, groups=groups, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or self.groups != 1:
            return super().forward(x)
        if torch.compiler.is_compiling():  # a compiler fuses by itself
            return super().forward(x)
        weight: Tensor = self.weight
        bias: Tensor = self.bias  # type: ignore[assignment]
        if torch.is_autocast_enabled("cpu"):  # which reaches into no function of ours
            if not _NATIVE_BF16 or torch.get_autocast_dtype("cpu") != torch.bfloat16:
                return super().forward(x)
            x, weight, bias = x.bfloat16(), weight.bfloat16(), bias.bfloat16()
        near: Tensor = _Near.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return near


class _Near(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        around = pad_replicate(x)
        ctx.save_for_backward(around, weight)
        return F.conv2d(around, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        around, weight = ctx.saved_tensors
        to_x = to_weight = to_bias = None
        if _LIBRARY:
            to_x, to_weight, to_bias = torch.ops.aten.convolution_backward(
                *(gradient, around, weight, [len(weight)]),
                *([1, 1], [0, 0], [1, 1], False, [0, 0], 1),  # stride, padding, dilation, groups
                ctx.needs_input_grad,
            )
            return None if to_x is None else _folded(to_x), to_weight, to_bias
        back = _set_in_zeros(gradient)
        if ctx.needs_input_grad[0]:
            turned = weight.flip(2, 3).transpose(0, 1)
            to_x = _folded(F.conv2d(back, turned, padding=1))
        if ctx.needs_input_grad[1]:
            to_weight = _of_taps(around, back)
        if ctx.needs_input_grad[2]:
            to_bias = gradient.sum((0, 2, 3))
        return to_x, to_weight, to_bias


def pad_replicate(x: Tensor) -> Tensor:
    """(S, C, H, W) -> (S, C, H + 2, W + 2), channels last, the border's pixels repeated."""
    around = _larger(x)
    around[:, :, 1:-1, 1:-1] = x
    around[:, :, 0, 1:-1] = x[:, :, 0]
    around[:, :, -1, 1:-1] = x[:, :, -1]
    around[:, :, :, 0] = around[:, :, :, 1]
    around[:, :, :, -1] = around[:, :, :, -2]
    return around


def _set_in_zeros(x: Tensor) -> Tensor:
    around = _larger(x)
    around[:, :, 1:-1, 1:-1] = x
    for border in (around[:, :, 0], around[:, :, -1], around[..., 0], around[..., -1]):
        border.zero_()
    return around


def _larger(x: Tensor) -> Tensor:
    S, C, H, W = x.shape
    return torch.empty(
        (S, C, H + 2, W + 2), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
    )


def _folded(around: Tensor) -> Tensor:
    """What `continued` repeated gives its gradient to the pixel that it was; the image alone."""
    around[..., 1] += around[..., 0]
    around[..., -2] += around[..., -1]
    around[:, :, 1] += around[:, :, 0]
    around[:, :, -2] += around[:, :, -1]
    return around[:, :, 1:-1, 1:-1]


def _of_taps(around: Tensor, back: Tensor) -> Tensor:
    """(outputs, inputs, 3, 3): of each tap, the product over all pixels.

    Pixels of all samples lie in one line, so that a tap is an offset; where it leads over an edge
    `back` has its zeros.
    """
    inputs, outputs, W = around.shape[1], back.shape[1], around.shape[3]
    seen = around.permute(0, 2, 3, 1).reshape(-1, inputs)
    given = back.permute(0, 2, 3, 1).reshape(-1, outputs)
    offsets = [row * W + column for row in (-1, 0, 1) for column in (-1, 0, 1)]
    taps = given.new_zeros(len(offsets), outputs, inputs)
    first, last = offsets[-1], len(given) - offsets[-1]
    for start in range(first, last, _ROWS):
        end = min(start + _ROWS, last)
        part = given[start:end].mT
        for tap, offset in zip(taps, offsets, strict=True):
            tap.addmm_(part, seen[start + offset : end + offset])
    return taps.reshape(_SIDE, _SIDE, outputs, inputs).permute(2, 3, 0, 1)

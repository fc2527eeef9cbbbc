"""Selective scan (Mamba): a linear recurrence whose coefficients depend on the input.

    h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t        y_t = C_t h_t + D x_t

Source: Gu and Dao 2023, arXiv:2312.00752, section 3. Axes: B batch; L tokens; D features;
N states a feature. Every state has its own decay, so that no part of it is a matrix product;
Mamba-2's form, where all states of a head share one decay, is in ssd.py.
"""

import importlib
import logging
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.utils.checkpoint import checkpoint

from fusiontrain.imaging.full_precision import full_precision

logger = logging.getLogger(__name__)
SEGMENT = 1024  # tokens per segment; their states fit the cache
_KERNEL = ("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn")
_BROKEN = (
    "scan: plain torch, several times slower: mamba-ssm is installed, but %s.%s cannot be used "
    "(%s); install it anew for this torch (docs/guides/gpu.md)"
)


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Selective scan by segments; same results as `reference_scan`.

    Shapes: x, dt (B, L, D); A (D, N), negative; B, C (B, L, N); D (D,) -> (B, L, D) as x.
    Computed at least in float32: products of many decays are inaccurate in bfloat16.
    Memory: the states of one segment, also in training, where segments are recomputed.
    """
    dtype, compute = x.dtype, torch.promote_types(x.dtype, torch.float32)
    with full_precision(x.device):
        x, dt, A, B, C, D = (tensor.to(compute) for tensor in (x, dt, A, B, C, D))
        kernel = mamba_ssm_kernel(*_KERNEL) if x.is_cuda and compute == torch.float32 else None
        if kernel is not None:
            # Tested where there is a GPU: marker `gpu`.
            wide = (tensor.transpose(1, 2).contiguous() for tensor in (x, dt))
            narrow = (tensor.transpose(1, 2).contiguous() for tensor in (B, C))
            y: Tensor = kernel(*wide, A, *narrow, D)
            return y.transpose(1, 2).to(dtype)
        state = x.new_zeros(x.shape[0], *A.shape)
        parts = []
        for start in range(0, x.shape[1], SEGMENT):
            piece = (*(t[:, start : start + SEGMENT] for t in (x, dt, B, C)), A, state)
            if torch.is_grad_enabled() and x.shape[1] > SEGMENT:
                y, state = checkpoint(_segment, *piece, use_reentrant=False)
            else:
                y, state = _segment(*piece)
            parts.append(y)
        return (torch.cat(parts, 1) + x * D).to(dtype)


def reference_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """Selective scan token by token, as the equation is written: the reference in tests."""
    h = x.new_zeros(x.shape[0], *A.shape)
    outputs = []
    for t in range(x.shape[1]):
        h = torch.exp(dt[:, t, :, None] * A) * h
        h = h + (dt[:, t] * x[:, t])[..., None] * B[:, t, None, :]
        outputs.append((h * C[:, t, None, :]).sum(-1) + D * x[:, t])
    return torch.stack(outputs, 1)


def _segment(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    """(y - D x, last state) from x, dt, B, C, A and the first state."""
    x, dt, B, C, A, state = arguments
    decay = torch.exp(dt[..., None] * A)
    added = (dt * x)[..., None] * B[:, :, None, :]
    h: Tensor = _Recurrence.apply(decay, added, state)  # type: ignore[no-untyped-call]
    return (h @ C[..., None])[..., 0], h[:, -1]


class _Recurrence(Function):
    """h_t = a_t h_(t-1) + u_t. Its gradient is the same recurrence in reverse order."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, u: Tensor, state: Tensor) -> Tensor:
        h = _recur(a, u, state)
        ctx.save_for_backward(a, h, state)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, h, state = ctx.saved_tensors
        # g_t = grad_t + a_(t+1) g_(t+1): gradient of h_t through all later outputs.
        next_a = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], 1)
        g = _recur(next_a.flip(1), grad.flip(1), torch.zeros_like(state)).flip(1)
        previous = torch.cat([state[:, None], h[:, :-1]], 1)
        return g * previous, g, a[:, 0] * g[:, 0]


def _recur(a: Tensor, u: Tensor, state: Tensor) -> Tensor:
    """a, u (B, L, ...), state (B, ...) -> h (B, L, ...), in about 2 sqrt(L) steps.

    Chunks of sqrt(L) tokens run in parallel from a zero state. Then their last states are
    chained, and each chunk adds its decayed first state. Decays are never divided by, so that
    nothing overflows.
    """
    L = a.shape[1]
    length = max(1, math.isqrt(L))
    count = -(-L // length)
    if padding := count * length - L:
        a = torch.cat([a, a.new_ones(a.shape[0], padding, *a.shape[2:])], 1)
        u = torch.cat([u, u.new_zeros(u.shape[0], padding, *u.shape[2:])], 1)
    shape = (a.shape[0], count, length, *a.shape[2:])
    decay, h = a.reshape(shape).clone(), u.reshape(shape).clone()
    for t in range(1, length):
        h[:, :, t] += decay[:, :, t] * h[:, :, t - 1]
        decay[:, :, t] *= decay[:, :, t - 1]
    for chunk in range(count):
        h[:, chunk] += decay[:, chunk] * state[:, None]
        state = h[:, chunk, -1]
    return h.flatten(1, 2)[:, :L]


@cache
def mamba_ssm_kernel(module: str, name: str) -> Callable[..., Tensor] | None:
    """A CUDA kernel of mamba-ssm, or None; imported at the first use on a GPU, which is logged."""
    try:
        kernel: Callable[..., Tensor] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            logger.warning(_BROKEN, module, name, error)
        else:
            logger.info("scan: plain torch; mamba-ssm, which has a kernel for it, is not installed")
        return None
    # Built for another torch, Triton or Python it fails in any way: an attribute that is not
    # there, a symbol, a version check of its own.
    except Exception as error:  # noqa: BLE001
        logger.warning(_BROKEN, module, name, f"{type(error).__name__}: {error}")
        return None
    logger.info("scan: the kernel %s of mamba-ssm", name)
    return kernel

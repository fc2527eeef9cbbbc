"""SSD, state-space duality (Mamba-2): the scan as matrix products in chunks, then chained.

    h_t = exp(d_t) h_(t-1) + B_t x_t^T        y_t = C_t h_t

One decay d_t < 0 a head and token (Mamba-2 writes dt_t A for it, and dt_t x_t for x_t).
Source: Dao and Gu 2024, ICML (arXiv:2405.21060), section 6. Axes: S sequences; L tokens;
H heads; P features a head; N states. B and C are shared by the heads.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.models.layers.selective_scan import mamba_ssm_kernel

CHUNK = 16  # tokens per matrix product: larger is more work in fewer steps
_KERNEL = ("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined")
_KERNELS_CHUNK = 64
_MOST_BLOCKS = 65_535  # of a CUDA grid's second axis, where the kernel has sequences * chunks


def ssd(x: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, *, chunk: int = CHUNK) -> Tensor:
    """SSD scan by chunks; same results as `reference_ssd`.

    Shapes: x (S, L, H, P); log_decay (S, L, H), negative; B, C (S, L, N) -> (S, L, H, P) as x.
    Computed at least in float32: sums of many decays are inaccurate in bfloat16.
    Cost: linear in L.
    """
    dtype, compute = x.dtype, torch.promote_types(x.dtype, torch.float32)
    with full_precision(x.device):
        x, log_decay, B, C = (tensor.to(compute) for tensor in (x, log_decay, B, C))
        kernel = mamba_ssm_kernel(*_KERNEL) if x.is_cuda and compute == torch.float32 else None
        if kernel is not None:
            return _by_kernel(kernel, x, log_decay, B, C).to(dtype)
        return _chunked(x, log_decay, B, C, min(chunk, x.shape[1])).to(dtype)


def reference_ssd(x: Tensor, log_decay: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """SSD token by token, as the equation is written: the reference in tests."""
    S, L, H, P = x.shape
    h = x.new_zeros(S, H, P, B.shape[-1])
    outputs = []
    for t in range(L):
        h = torch.exp(log_decay[:, t])[..., None, None] * h
        h = h + x[:, t, :, :, None] * B[:, t, None, None, :]
        outputs.append((h * C[:, t, None, None, :]).sum(-1))
    return torch.stack(outputs, 1)


def _by_kernel(
    kernel: Callable[..., Any], x: Tensor, log_decay: Tensor, B: Tensor, C: Tensor
) -> Tensor:
    """mamba_chunk_scan_combined of mamba-ssm, in calls that its grid holds.

    Sequences are independent. One that is too long alone is cut, and its state handed on.
    """
    S, L, H, _ = x.shape
    # The kernel multiplies by dt what is divided by it here; float32 rounds exp(-1e-12) to 1.
    dt, A = (-log_decay).clamp_min(1e-12), -x.new_ones(H)
    x = x / dt[..., None]
    tokens = min(L, _MOST_BLOCKS * _KERNELS_CHUNK)
    sequences = max(1, _MOST_BLOCKS // -(-tokens // _KERNELS_CHUNK))
    rows = []
    for row in range(0, S, sequences):
        some, parts, state = slice(row, row + sequences), [], None
        for first in range(0, L, tokens):
            piece = (some, slice(first, first + tokens))
            y, state = kernel(
                *(x[piece], dt[piece], A, B[piece][:, :, None], C[piece][:, :, None]),
                _KERNELS_CHUNK,
                initial_states=state,
                return_final_states=True,
            )
            parts.append(y)
        rows.append(torch.cat(parts, 1) if len(parts) > 1 else parts[0])
    return torch.cat(rows) if len(rows) > 1 else rows[0]


def _chunked(x: Tensor, log_decay: Tensor, B: Tensor, C: Tensor, chunk: int) -> Tensor:
    S, L, H, P = x.shape
    padding = -L % chunk
    if padding:  # tokens without effect on the state
        x, B, C = (
            F.pad(x, (0, 0, 0, 0, 0, padding)),
            F.pad(B, (0, 0, 0, padding)),
            F.pad(C, (0, 0, 0, padding)),
        )
        log_decay = F.pad(log_decay, (0, 0, 0, padding))
    n = (L + padding) // chunk
    x = x.reshape(S, n, chunk, H, P).transpose(2, 3)
    B, C = (t.reshape(S, n, 1, chunk, -1) for t in (B, C))
    total = log_decay.reshape(S, n, chunk, H).transpose(2, 3).cumsum(-1)  # of the chunk
    # Decays are exponentials of sums, never quotients: nothing overflows.
    log_decays = total[..., :, None] - total[..., None, :]
    later = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
    weights = log_decays.masked_fill(later, -torch.inf).exp() * (C @ B.transpose(-1, -2))
    y = weights @ x
    if n > 1:
        left = (total[..., -1:] - total).exp()
        added = B.transpose(-1, -2) @ (x * left[..., None])  # (S, n, H, N, P), at the chunk's end
        kept = total[..., -1].exp()[..., None, None]
        states = [torch.zeros_like(added[:, 0])]
        # unbind, since the gradient of one slice per step is quadratic in the chunks.
        for k, a in zip(kept.unbind(1)[:-1], added.unbind(1)[:-1], strict=True):
            states.append(k * states[-1] + a)
        y = y + total.exp()[..., None] * (C @ torch.stack(states, 1))
    return y.transpose(2, 3).reshape(S, L + padding, H, P)[:, :L]

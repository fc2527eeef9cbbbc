"""Q2n: one universal quality index for all bands, in hypercomplex numbers.

Source: Garzelli and Nencini 2009, IEEE GRSL 6(4):662-665; blocks as in the toolbox of
Vivone et al. 2015. The product of two hypercomplex numbers is bilinear, so the mean product
over a block follows from the block's band-by-band second moments alone.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.metrics.pair import as_pair


def q2n(gt: Tensor, fused: Tensor, *, block: int = 32) -> Tensor:
    """Q2n, () or (N,): mean of the moduli over blocks; 1 is perfect.

    Both images are rounded (half away from zero) and saturated to uint16; sizes are mirrored
    up to a multiple of `block`; bands are padded with zeros to a power of two, which the
    block's normalisation turns into ones that count in the bias term.
    """
    x, y = (_blocks(image, block) for image in as_pair(gt, fused))
    value = _block_quality(x, y).mean(1)
    return value[0] if gt.ndim == 3 else value


def _blocks(image: Tensor, block: int) -> Tensor:
    """(N, C, H, W) -> (N, blocks, power of two, block * block)."""
    whole = torch.sign(image) * torch.floor(image.abs() + 0.5)
    whole = whole.clamp(0, 65535)
    for dim in (2, 3):
        size = whole.shape[dim]
        missing = -size % block
        mirrored = torch.arange(size - 1, size - 1 - missing, -1, device=image.device)
        index = torch.cat([torch.arange(size, device=image.device), mirrored])
        whole = whole.index_select(dim, index)
    bands = whole.shape[1]
    power = 1 << (bands - 1).bit_length()
    whole = F.pad(whole, (0, 0, 0, 0, 0, power - bands))
    N, C, H, W = whole.shape
    tiled = whole.reshape(N, C, H // block, block, W // block, block)
    return tiled.permute(0, 2, 4, 1, 3, 5).reshape(N, -1, C, block * block)


def _block_quality(x: Tensor, y: Tensor) -> Tensor:
    """Modulus of the hypercomplex quality of each block, (N, blocks)."""
    n = x.shape[-1]
    mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    scale = std.where(std > 0, torch.finfo(torch.float64).eps)
    # A band of zero mean is shifted only, as in the toolbox.
    shifted_only = mean == 0
    y = torch.where(shifted_only, y, (y - mean) / scale) + 1
    x = (x - mean) / scale + 1
    m_x, m_y = x.mean(-1), y.mean(-1)
    unbiased = n / (n - 1)
    energy_x, energy_y = ((m * m).sum(-1) for m in (m_x, m_y))
    bias = 2 * (energy_x * energy_y).sqrt() / (energy_x + energy_y)
    spread = unbiased * ((x * x).mean(-1).sum(-1) + (y * y).mean(-1).sum(-1) - energy_x - energy_y)
    second = x @ y.transpose(-1, -2) / n - m_x[..., :, None] * m_y[..., None, :]
    table = _conjugate_product(x.shape[-2]).to(x)
    covariance = unbiased * torch.einsum("kij,nbij->nbk", table, second).norm(dim=-1)
    # Two flat blocks have no spread: only their bias counts.
    flat = spread == 0
    return torch.where(flat, bias, covariance * bias * 2 / spread.where(~flat, 1))


@cache
def _conjugate_product(size: int) -> Tensor:
    """T[k, i, j]: component k of e_i * conj(e_j)."""
    basis = torch.eye(size, dtype=torch.float64)
    table = torch.zeros(size, size, size, dtype=torch.float64)
    for i in range(size):
        for j in range(size):
            table[:, i, j] = _multiply(basis[i], _conjugate(basis[j]))
    return table


def _conjugate(a: Tensor) -> Tensor:
    return torch.cat([a[:1], -a[1:]])


def _multiply(x: Tensor, y: Tensor) -> Tensor:
    """Cayley-Dickson product in the toolbox's sign convention."""
    if x.numel() == 1:
        return x * y
    half = x.numel() // 2
    a, b = x[:half], _conjugate(x[half:])
    c, d = y[:half], _conjugate(y[half:])
    return torch.cat(
        [
            _multiply(a, c) - _multiply(d, _conjugate(b)),
            _multiply(_conjugate(a), d) + _multiply(c, b),
        ]
    )

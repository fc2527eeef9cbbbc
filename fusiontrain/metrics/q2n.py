"""Q2n: one universal quality index for all bands, in hypercomplex numbers.

Source: Garzelli and Nencini 2009, IEEE GRSL 6(4):662-665; blocks as in the toolbox of
Vivone et al. 2015. The product of two hypercomplex numbers is bilinear, so the mean product
over a block follows from the block's band-by-band second moments alone.
"""

from functools import cache

import torch
from torch import Tensor

from fusiontrain.errors import MetricError
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.input_checks import REFLECTANCE_ENDS, Pair, as_pair, refuse_empty
from fusiontrain.metrics.uqi import as_blocks, whole_blocks

_UINT16 = 65535
_EPS = torch.finfo(torch.float64).eps
_FLAT = 1e-12  # deviations this small beside the mean are the rounding of a flat block


def q2n(
    gt: Tensor,
    fused: Tensor,
    *,
    block: int = 32,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
) -> Tensor:
    """Q2n, () or (N,): mean of the moduli over side-by-side blocks; 1 is perfect.

    convention: "toolbox" rounds both images (half away from zero) and saturates them to
    uint16, as published numbers do; "aligned" takes values as they are, so that reflectances
    in 0..1 survive. Border: sizes are mirrored up to a multiple of `block`, the edge pixel
    repeated. Bands are padded with zeros to a power of two, which the block's normalisation
    turns into ones that count in the bias term. Zero pixels count.
    Nodata: a block with an invalid pixel, mirrored ones included, is left out: its moments
    would mix it in. Blocks are normalised by gt, so it is not symmetric. Bands may change
    places: the modulus hardly depends on their order (not at all for one or two).
    Raises: MetricError if "toolbox" would round reflectances to nothing; as in input_checks.py.
    """
    pair = as_pair(gt, fused, valid)
    return pair.give(mean_quality(pair, block, convention))


def mean_quality(pair: Pair, block: int, convention: GridPhase) -> Tensor:
    """(N,): mean over the blocks that count."""
    if convention == "toolbox":
        _refuse_reflectances(pair)
    x, y = (mirrored(image, block) for image in (pair.gt, pair.fused))
    N, C, H, W = x.shape
    whole = None
    if pair.valid is not None:
        whole = whole_blocks(mirrored(pair.valid, block), block)
        refuse_empty(whole.sum((-2, -1)), f"{block}x{block} block without nodata")
    total = x.new_zeros(N, dtype=torch.float64)
    for images, rows in chunks(N, H // block, x.device, each=C * block * W):
        for n in range(*images.indices(N)):
            a, b = (as_blocks(image[n], rows, block) for image in (x, y))
            if convention == "toolbox":
                a, b = (v.clamp(0, _UINT16).add_(0.5).floor_() for v in (a, b))
            quality = _block_quality(a, b)
            if whole is not None:
                quality = quality[whole[n, rows].flatten()]
            total[n] += quality.sum()
    count = (H // block) * (W // block) if whole is None else whole.sum((-2, -1))
    return total / count


def mirrored(image: Tensor, block: int) -> Tensor:
    """(..., H, W) extended below and to the right, to multiples of `block`."""
    for dim in (-2, -1):
        size = image.shape[dim]
        missing = -size % block
        if missing:
            index = torch.arange(size + missing, device=image.device) % (2 * size)
            image = image.index_select(dim, torch.minimum(index, 2 * size - 1 - index))
    return image


def _refuse_reflectances(pair: Pair) -> None:
    if float(pair.gt.mean().abs()) > REFLECTANCE_ENDS:
        return
    low, high = (float(v) for v in pair.gt.aminmax())
    if max(-low, high) <= REFLECTANCE_ENDS and bool((pair.gt != pair.gt.round()).any()):
        raise MetricError(
            f"the toolbox's Q2n rounds to whole numbers, and gt is in {low:.4g}..{high:.4g}\n"
            '  do: give convention="aligned", or DN'
        )


def _block_quality(x: Tensor, y: Tensor) -> Tensor:
    """Modulus of the hypercomplex quality of each block: (blocks, C, pixels) -> (blocks,).

    Both are normalised by x, band by band: less its mean, over its deviation, plus one.
    """
    C, n = x.shape[-2:]
    mean_x, x = _centred(x)
    mean_y, y = _centred(y)
    energy_x, energy_y = (torch.linalg.vecdot(v, v) for v in (x, y))
    std = (energy_x / (n - 1)).sqrt()
    scale = std.where(std > 0, _EPS)
    # A band of zero mean is shifted only, as in the toolbox.
    shifted_only = mean_x == 0
    m_y = torch.where(shifted_only, mean_y, (mean_y - mean_x) / scale) + 1
    scale_y = scale.where(~shifted_only, 1)
    # Bands added up to a power of two are ones in both: they have means, and no spread.
    added = _power_of_two(C) - C
    bands_x, bands_y = float(C + added), (m_y * m_y).sum(-1) + added
    bias = 2 * (bands_x * bands_y).sqrt() / (bands_x + bands_y)
    spread = ((energy_x / scale**2).sum(-1) + (energy_y / scale_y**2).sum(-1)) / (n - 1)
    second = x @ y.transpose(-1, -2) / (scale[..., :, None] * scale_y[..., None, :])
    table = _conjugate_product(C + added)[:, :C, :C].to(x)
    covariance = (second.flatten(1) @ table.flatten(1).T).norm(dim=-1) / (n - 1)
    # Two flat blocks have no spread: only their bias counts.
    flat = spread == 0
    return torch.where(flat, bias, covariance * bias * 2 / spread.where(~flat, 1))


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """(blocks, C, pixels) -> its means, and what is left of them; flat bands are exactly zero."""
    mean = x.mean(-1)
    left = x - mean[..., None]
    flat = left.abs().amax(-1) <= _FLAT * mean.abs()
    if bool(flat.any()):
        mean = torch.where(flat, x[..., 0], mean)
        left = left.masked_fill(flat[..., None], 0)
    return mean, left


def _power_of_two(bands: int) -> int:
    return 1 << (bands - 1).bit_length()


@cache
@torch.inference_mode(False)  # kept for training too, whoever asks first
def _conjugate_product(size: int) -> Tensor:
    """T[k, i, j]: component k of e_i * conj(e_j)."""
    component, sign = _products(size)
    sign = sign * _of_conjugate(size)
    table = torch.zeros(size, size, size, dtype=torch.float64)
    return table.scatter_(0, component[None], sign[None])


def _products(size: int) -> tuple[Tensor, Tensor]:
    """Which component e_i * e_j is, and its sign: (size, size) each.

    Cayley-Dickson doubling in the toolbox's convention: with b and d the conjugates of x's and
    y's upper halves, (a, b)(c, d) = (a c - d conj(b), conj(a) d + c b).
    """
    if size == 1:
        return torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1, dtype=torch.float64)
    half = size // 2
    component, sign = _products(half)
    s = _of_conjugate(half)
    # Rows: x in the lower, then the upper half; columns: y.
    parts = [
        [sign, s[:, None] * s * sign],
        [s[:, None] * sign.T, -s * sign.T],
    ]
    places = [[component, component + half], [component.T + half, component.T]]
    component, sign = (torch.cat([torch.cat(row, 1) for row in x]) for x in (places, parts))
    return component, sign


def _of_conjugate(size: int) -> Tensor:
    """Signs that conjugation gives the components."""
    signs = torch.full((size,), -1.0, dtype=torch.float64)
    signs[0] = 1
    return signs

"""SR-D: the details that MS lacks, as sparse sums of patches of PAN's details."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs
from fusiontrain.classical.statistics import SceneStatistics
from fusiontrain.imaging.dn_factor import dn_factor
from fusiontrain.imaging.reference_toolbox import imresize_up

PATCH, OVERLAP, ATOMS = 7, 4, 10  # MS pixels, MS pixels, patches in a sum
_LEAST_DETERMINANT = 0.1  # of the chosen atoms' products, in DN; below, they get no weight
_HIGHEST = 4  # standard deviations above its mean: about the largest value of a scene
_NEGLIGIBLE = 1e-12  # of the atoms' energy, along one axis
_BATCH = 512  # patches at once
_BLOCK = 64  # atoms


def sr_d(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Sparse representation of injected details, with a dictionary from the scene's own PAN.

    Patches of the MS's details are sums of at most 10 patches of PAN's details at MS scale
    (orthogonal matching pursuit, weights band by band); the same sums of PAN's own details
    are injected. Source: Vicinanza et al. 2015, IEEE GRSL 12(1):180-184.
    """
    moments, C = statistics.moments("bands"), f.bands
    gain = moments.spread[:, :C] / moments.spread[:, C:].clamp_min(TINY)
    pan = (f.pan - f.per_band(moments.mean[:, C:])) * f.per_band(gain) + f.per_band(
        moments.mean[:, :C]
    )
    low = f.to_ms(pan)
    # The toolbox goes back by bicubic interpolation, half a pixel off its own decimation.
    detail = pan - (imresize_up(low, f.ratio) if f.toolbox else f.interpolate(low))
    coarse = f.to_ms(detail)
    missing = f.ms - f.to_ms(f.up)
    # The least determinant is in DN; the toolbox has it for values of any size. By the scene's
    # moments: one factor for all windows, also for one of dark water.
    highest = float((moments.mean.abs() + _HIGHEST * moments.spread)[:, :C].max())
    factor = 1.0 if f.toolbox else dn_factor(highest)
    injected = [
        _inject(own * factor, low * factor, lack * factor, f.ratio)
        for own, low, lack in zip(detail, coarse, missing, strict=True)
    ]
    return f.up + torch.stack(injected) / factor


@dataclass(frozen=True, slots=True)
class _Tiling:
    """Corners, in MS pixels, of the patches that cover an image; the last ones are moved in."""

    rows: Tensor
    columns: Tensor

    @staticmethod
    def of(h: int, w: int) -> "_Tiling":
        step = PATCH - OVERLAP
        starts = [
            torch.arange(-(-(side - OVERLAP) // step)).mul(step).clamp_max(side - PATCH)
            for side in (h, w)
        ]
        rows, columns = torch.meshgrid(*starts, indexing="ij")
        return _Tiling(rows.flatten(), columns.flatten())

    def places(self, scale: int, width: int) -> Tensor:
        """(patches, pixels of one) flat indices into a plane `scale` times finer."""
        side = torch.arange(PATCH * scale)
        rows = self.rows[:, None] * scale + side
        columns = self.columns[:, None] * scale + side
        return (rows[:, :, None] * (width * scale) + columns[:, None, :]).flatten(1)


def _inject(detail: Tensor, coarse: Tensor, missing: Tensor, ratio: int) -> Tensor:
    """Detail (C, H, W), coarse and missing (C, h, w) -> details to add, (C, H, W)."""
    h, w = coarse.shape[1:]
    tiling = _Tiling.of(h, w)
    places = tiling.places(1, w).to(coarse.device)
    atoms, patches = (x.flatten(1)[:, places].transpose(0, 1) for x in (coarse, missing))
    chosen, weights = _pursue(atoms.contiguous(), patches.contiguous())
    fine = tiling.places(ratio, w).to(coarse.device)
    onto = fine.flatten()
    flat = detail.flatten(1)
    total, count = torch.zeros_like(flat), torch.zeros_like(flat[0])
    for band, sums in enumerate(total):
        added = F.embedding_bag(
            chosen, flat[band][fine], per_sample_weights=weights[:, band].contiguous(), mode="sum"
        )
        sums.index_add_(0, onto, added.flatten())
    count.index_add_(0, onto, count.new_ones(onto.shape))
    return (total / count).reshape(detail.shape)


def _pursue(atoms: Tensor, patches: Tensor) -> tuple[Tensor, Tensor]:
    """Orthogonal matching pursuit; a patch's first atom is its own place's.

    Shapes: atoms (N, C, P), patches (N, C, P) -> indices (N, 10), weights (N, C, 10).
    """
    basis = _span(atoms.flatten(1))
    spanned = atoms.flatten(1) @ basis
    # More atoms, of zeros, are never likest.
    spanned = F.pad(spanned, (0, 0, 0, -len(atoms) % _BLOCK)).T.contiguous()
    found = []
    for start in range(0, len(patches), _BATCH):
        some = patches[start : start + _BATCH]
        first = torch.arange(start, start + len(some), device=atoms.device)
        found.append(_pursue_some(atoms, some, first, basis, spanned))
    chosen, weights = (torch.cat(parts) for parts in zip(*found, strict=True))
    return chosen, weights


def _pursue_some(
    atoms: Tensor, patches: Tensor, first: Tensor, basis: Tensor, spanned: Tensor
) -> tuple[Tensor, Tensor]:
    """`_pursue` of some patches at once, few enough for the cache.

    `spanned` (R, N'): the atoms in the coordinates of `basis` (C P, R).
    """
    M, C, P = patches.shape
    exact = patches.double()  # determinants of DN leave float32's range
    held = exact.new_empty(M, C, ATOMS, P)
    products, right = exact.new_empty(M, C, ATOMS, ATOMS), exact.new_empty(M, C, ATOMS, 1)
    weights, chosen = patches.new_zeros(M, C, ATOMS), [first]
    residual = patches
    for k in range(1, ATOMS + 1):
        if k > 1:
            chosen.append(_likest((residual.flatten(1) @ basis) @ spanned))
        atom = atoms[chosen[-1]].double()
        held[:, :, k - 1] = atom
        products[:, :, k - 1, :k] = torch.linalg.vecdot(held[:, :, :k], atom[:, :, None])
        products[:, :, :k, k - 1] = products[:, :, k - 1, :k]
        right[:, :, k - 1, 0] = torch.linalg.vecdot(atom, exact)
        factors, pivots, _ = torch.linalg.lu_factor_ex(products[:, :, :k, :k])
        regular = (_determinant(factors, pivots) > _LEAST_DETERMINANT)[..., None, None]
        solved = torch.linalg.lu_solve(factors, pivots, right[:, :, :k])
        solved = torch.where(regular, solved, 0.0)
        residual = patches - (solved.mT @ held[:, :, :k])[..., 0, :].to(patches)
        weights[..., :k] = solved[..., 0]
    return torch.stack(chosen, 1), weights


def _span(atoms: Tensor) -> Tensor:
    """(C P, R): orthonormal vectors that span the atoms (N, C P) within float32's rounding.

    Bands of one MTF differ by a factor, so that R is a half to an eighth of C P. All of float64.
    """
    if atoms.dtype == torch.float64:
        return torch.eye(atoms.shape[1], dtype=atoms.dtype, device=atoms.device)
    exact = atoms.double()
    values, vectors = torch.linalg.eigh(exact.T @ exact)
    return vectors[:, values > _NEGLIGIBLE * values[-1]].to(atoms)


def _likest(likeness: Tensor) -> Tensor:
    """(M, N) -> (M,): where the largest modulus is; `likeness` is overwritten.

    By blocks: argmax of all takes as long as the product that made them.
    """
    blocks = likeness.abs_().reshape(len(likeness), -1, _BLOCK)
    block = blocks.amax(-1).argmax(1)
    each = torch.arange(len(blocks), device=blocks.device)
    return block * _BLOCK + blocks[each, block].argmax(1)


def _determinant(factors: Tensor, pivots: Tensor) -> Tensor:
    """Of LU factors: each row that was swapped with another turns the sign."""
    rows = torch.arange(1, pivots.shape[-1] + 1, device=pivots.device)
    odd = (pivots != rows).sum(-1) % 2 == 1
    product = factors.diagonal(dim1=-2, dim2=-1).prod(-1)
    return torch.where(odd, -product, product)

"""SR-D: the details that MS lacks, as sparse sums of patches of PAN's details."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs
from fusiontrain.classical.statistics import SceneStatistics
from fusiontrain.imaging.reference_toolbox import imresize_up

PATCH, OVERLAP, ATOMS = 7, 4, 10  # MS pixels, MS pixels, patches in a sum
_LEAST_DETERMINANT = 0.1  # of the chosen atoms' products, in DN; below, they get no weight
_BATCH = 2**25  # similarities held at once


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
    return f.up + torch.stack(
        [_inject(*images, f.ratio) for images in zip(detail, coarse, missing, strict=True)]
    )


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
    fine = tiling.places(ratio, w).to(coarse.device)
    flat = detail.flatten(1)
    total, count = torch.zeros_like(flat), torch.zeros_like(flat[0])
    batch = max(1, _BATCH // len(atoms))
    for start in range(0, len(patches), batch):
        some = slice(start, start + batch)
        first = torch.arange(len(patches), device=coarse.device)[some]
        chosen, weights = _pursue(atoms, patches[some], first)
        onto = fine[some].flatten()
        for k in range(ATOMS):
            # (C, patches, pixels): one more atom of every patch's sum.
            part = flat[:, fine[chosen[:, k]]] * weights[:, :, k].mT[..., None]
            total.index_add_(1, onto, part.flatten(1))
        count.index_add_(0, onto, count.new_ones(onto.shape))
    return (total / count).reshape(detail.shape)


def _pursue(atoms: Tensor, patches: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Orthogonal matching pursuit, all patches at once; a patch's first atom is its own place's.

    Shapes: atoms (N, C, P), patches (M, C, P), first (M,) -> indices (M, 10), weights (M, C, 10).
    """
    M, C = patches.shape[:2]
    matrix = atoms.flatten(1)
    weights = patches.new_zeros(M, C, ATOMS)
    residual, chosen = patches, first[:, None]
    for k in range(1, ATOMS + 1):
        if k > 1:
            likeness = residual.flatten(1) @ matrix.T
            chosen = torch.cat([chosen, likeness.abs().argmax(1, keepdim=True)], 1)
        # Determinants of DN leave float32's range.
        basis = atoms[chosen].permute(0, 2, 1, 3).double()  # (M, C, k, pixels)
        normal = basis @ basis.mT
        factors, pivots, _ = torch.linalg.lu_factor_ex(normal)
        regular = (_determinant(factors, pivots) > _LEAST_DETERMINANT)[..., None, None]
        solved = torch.linalg.lu_solve(factors, pivots, basis @ patches.double()[..., None])
        solved = torch.where(regular, solved, 0.0)
        residual = patches - (solved.mT @ basis)[..., 0, :].to(patches)
        weights[..., :k] = solved[..., 0]
    return chosen, weights


def _determinant(factors: Tensor, pivots: Tensor) -> Tensor:
    """Of LU factors: each row that was swapped with another turns the sign."""
    rows = torch.arange(1, pivots.shape[-1] + 1, device=pivots.device)
    odd = (pivots != rows).sum(-1) % 2 == 1
    product = factors.diagonal(dim1=-2, dim2=-1).prod(-1)
    return torch.where(odd, -product, product)

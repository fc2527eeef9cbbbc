"""Indices of full resolution, where no truth is known: D_lambda, D_s and what is made of them.

`convention` says how MS and PAN are brought to one grid: "toolbox" (41-tap MTF filters, 23-tap
interpolation, half a PAN pixel of phase) agrees with published numbers; "aligned" is right for
GeoTIFFs. Blocks of 32; sizes must be multiples of it. Exponents are 1.
"""

import torch
from torch import Tensor

from fusiontrain.batch import Convention
from fusiontrain.errors import ShapeError
from fusiontrain.filters import blur, gain_to_sigma, reduce_pan, upsample
from fusiontrain.metrics.hypercomplex import q2n
from fusiontrain.metrics.universal import block_uqi
from fusiontrain.toolbox import imresize_bicubic, interp23, mtf_filter


def d_lambda_k(
    fused: Tensor,
    ms: Tensor,
    *,
    mtf: tuple[float, ...],
    ratio: int = 4,
    convention: Convention = "toolbox",
) -> Tensor:
    """Khan's spectral distortion, (): 0 is none. 1 - Q2n(upsampled MS, fused through its MTF).

    Shapes: fused (C, H, W), ms (C, h, w), mtf C gains at the MS Nyquist.
    Source: Khan, Alparone and Chanussot 2009, IEEE TGRS 47(11):3880-3891.
    """
    _check(fused, ms, ratio)
    if convention == "toolbox":
        seen = mtf_filter(fused[None], mtf, ratio)[0]
    else:
        gains = torch.tensor([mtf], dtype=torch.float64, device=fused.device)
        seen = blur(fused[None].double(), gain_to_sigma(gains, ratio))[0]
    return 1 - q2n(_expand(ms, ratio, convention), seen)


def d_lambda(
    fused: Tensor, ms: Tensor, *, ratio: int = 4, convention: Convention = "toolbox"
) -> Tensor:
    """Spectral distortion of QNR, (): how much the bands' likeness to each other changed.

    Source: Alparone et al. 2008, PE&RS 74(2):193-200. 0 for a single band.
    """
    _check(fused, ms, ratio)
    up = _expand(ms, ratio, convention)
    first, second = torch.triu_indices(len(fused), len(fused), 1).unbind()
    if len(first) == 0:
        return up.new_zeros(())
    change = block_uqi(fused[first], fused[second]) - block_uqi(up[first], up[second])
    return change.abs().mean()


def d_s(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    ratio: int = 4,
    convention: Convention = "toolbox",
) -> Tensor:
    """Spatial distortion of QNR, (): how much the bands' likeness to PAN changed.

    Shapes: pan (1, H, W). Source: Alparone et al. 2008, PE&RS 74(2):193-200.
    """
    _check(fused, ms, ratio)
    if pan.shape != (1, *fused.shape[1:]):
        raise ShapeError(f"PAN must be {(1, *fused.shape[1:])}; got {tuple(pan.shape)}")
    if convention == "toolbox":
        low = interp23(imresize_bicubic(pan, ratio), ratio)
    else:
        low = upsample(reduce_pan(pan[None].double(), ratio), ratio)[0]
    up = _expand(ms, ratio, convention)
    after = block_uqi(fused, pan.double().expand_as(fused))
    before = block_uqi(up, low.expand_as(up))
    return (after - before).abs().mean()


def qnr(
    fused: Tensor, ms: Tensor, pan: Tensor, *, ratio: int = 4, convention: Convention = "toolbox"
) -> Tensor:
    """(1 - D_lambda)(1 - D_s), (): 1 is perfect."""
    spectral = d_lambda(fused, ms, ratio=ratio, convention=convention)
    return (1 - spectral) * (1 - d_s(fused, ms, pan, ratio=ratio, convention=convention))


def hqnr(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    mtf: tuple[float, ...],
    ratio: int = 4,
    convention: Convention = "toolbox",
) -> Tensor:
    """(1 - D_lambda_K)(1 - D_s), (): 1 is perfect; it flatters timid fusion, so never alone.

    Source: Vivone et al. 2015, IEEE TGRS 53(5):2565-2586.
    """
    spectral = d_lambda_k(fused, ms, mtf=mtf, ratio=ratio, convention=convention)
    return (1 - spectral) * (1 - d_s(fused, ms, pan, ratio=ratio, convention=convention))


def _expand(ms: Tensor, ratio: int, convention: Convention) -> Tensor:
    if convention == "toolbox":
        return interp23(ms, ratio)
    return upsample(ms[None].double(), ratio)[0]


def _check(fused: Tensor, ms: Tensor, ratio: int) -> None:
    C, h, w = ms.shape
    if tuple(fused.shape) != (C, h * ratio, w * ratio):
        raise ShapeError(
            f"fused must be {(C, h * ratio, w * ratio)} for MS {(C, h, w)} at ratio {ratio}; "
            f"got {tuple(fused.shape)}"
        )

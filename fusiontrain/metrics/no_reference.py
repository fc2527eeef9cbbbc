"""Indices at full resolution, without a truth: D_lambda, D_s, and QNR and HQNR from them.

Images are (C, H, W), or (N, C, H, W) for N values. `convention` says how MS and PAN are
brought to one grid: "toolbox" (41-tap MTF filters, 23-tap interpolation, half a PAN pixel of
phase, Q2n of whole numbers) agrees with published numbers; "aligned" is right for GeoTIFFs,
and for reflectances. Exponents are 1. Borders are those of the interpolations: circular in
"toolbox", mirrored in "aligned". Blocks of 32 lie side by side; sizes must be multiples of
32, except for `d_lambda_repro` and `d_rho`. Zero pixels count.

Nodata: `valid` lies on the PAN's grid. An MS pixel is valid if all PAN pixels over it are.
Before filters mix pixels, invalid ones are set to the mean of their band's valid ones, in
fused, MS and PAN alike, so that they reach no index; a block counts only if all its
pixels are valid, since its moments are of all.

`kept`: a dictionary to give again with the same MS, PAN, ratio, convention and `valid`, for the
next fused image: what depends on these alone is then computed once.

All raise ShapeError where images do not fit, and MetricError where nothing is left to
compare or a valid pixel is NaN or infinite.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.filters import blur, degrade, gain_to_sigma, reduce_pan, upsample
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.reference_toolbox import decimate, imresize_bicubic, interp23, mtf_filter
from fusiontrain.metrics.full_resolution_inputs import Kept, Views, as_views, check_pan, once
from fusiontrain.metrics.input_checks import as_pair
from fusiontrain.metrics.q2n import mean_quality
from fusiontrain.metrics.sliding_windows import box, mean_beside_one
from fusiontrain.metrics.uqi import FLAT, block_uqi

_BLOCK = 32
_KEPT_PIXELS = 2**22  # of PAN: of more the moments would take over 100 MB


def d_lambda_k(
    fused: Tensor,
    ms: Tensor,
    *,
    mtf: tuple[float, ...],
    ratio: int = 4,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
    kept: Kept | None = None,
) -> Tensor:
    """Khan's spectral distortion, () or (N,): 1 - Q2n(upsampled MS, fused through its MTF).

    0 is none. Shapes: fused (C, H, W), ms (C, h, w), mtf C gains at the MS Nyquist.
    Source: Khan, Alparone and Chanussot 2009, IEEE TGRS 47(11):3880-3891.
    """
    views = as_views(fused, ms, None, ratio, valid)
    if convention == "toolbox":
        low_passed = mtf_filter(views.fused, mtf, ratio)
    else:
        low_passed = blur(views.fused, gain_to_sigma(_gains(mtf, views), ratio).to(views.fused))
    up = once(kept, "up", lambda: _expand(views.ms, ratio, convention))
    return views.give(1 - _q2n(up, low_passed, views.valid, convention))


def d_lambda_repro(
    fused: Tensor,
    ms: Tensor,
    *,
    mtf: tuple[float, ...],
    ratio: int = 4,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
) -> Tensor:
    """Khan's spectral distortion, reprojected, () or (N,): 1 - Q2n(MS, MTF-degraded fused).

    Compared on the MS's own grid, so that no interpolation of the MS counts for or against.
    The paper also registers each band to PAN first; here the scene is taken as registered.
    MS of any size: blocks are mirrored as in `q2n`; a block with an invalid MS pixel is left out.
    Source: Scarpa and Ciotola 2022, Remote Sensing 14(8):1808, doi:10.3390/rs14081808.
    """
    views = as_views(fused, ms, None, ratio, valid)
    if convention == "toolbox":
        low_passed = decimate(mtf_filter(views.fused, mtf, ratio), ratio)
    else:
        low_passed = degrade(views.fused.double(), _gains(mtf, views), ratio)
    return views.give(1 - _q2n(views.ms.double(), low_passed, views.valid_ms, convention))


def d_lambda(
    fused: Tensor,
    ms: Tensor,
    *,
    ratio: int = 4,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
) -> Tensor:
    """Spectral distortion of QNR, () or (N,): how much the bands' similarity to each other changed.

    0 is none, as for a single band. UQI of blocks with N - 1 moments, nothing rounded.
    Source: Alparone et al. 2008, PE&RS 74(2):193-200.
    """
    return _spectral(as_views(fused, ms, None, ratio, valid), ratio, convention)


def d_s(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    ratio: int = 4,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
    kept: Kept | None = None,
) -> Tensor:
    """Spatial distortion of QNR, () or (N,): how much the bands' similarity to PAN changed.

    0 is none. Shapes: pan (1, H, W). UQI of blocks with N - 1 moments, nothing rounded. PAN is
    reduced by antialiased bicubic and brought back as the MS is.
    Source: Alparone et al. 2008, PE&RS 74(2):193-200.
    """
    return _spatial(as_views(fused, ms, pan, ratio, valid), ratio, convention, kept)


def qnr(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    ratio: int = 4,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
) -> Tensor:
    """(1 - D_lambda)(1 - D_s), () or (N,): 1 is perfect.

    Source: Alparone et al. 2008, PE&RS 74(2):193-200.
    """
    views = as_views(fused, ms, pan, ratio, valid)
    kept: Kept = {}
    spectral = _spectral(views, ratio, convention, kept)
    return (1 - spectral) * (1 - _spatial(views, ratio, convention, kept))


def hqnr(
    fused: Tensor,
    ms: Tensor,
    pan: Tensor,
    *,
    mtf: tuple[float, ...],
    ratio: int = 4,
    convention: GridPhase = "toolbox",
    valid: Tensor | None = None,
) -> Tensor:
    """(1 - D_lambda_K)(1 - D_s), () or (N,): 1 is perfect; it favours little detail.

    Source: Vivone et al. 2015, IEEE TGRS 53(5):2565-2586.
    """
    spectral = d_lambda_k(fused, ms, mtf=mtf, ratio=ratio, convention=convention, valid=valid)
    spatial = d_s(fused, ms, pan, ratio=ratio, convention=convention, valid=valid)
    return (1 - spectral) * (1 - spatial)


def d_rho(
    fused: Tensor,
    pan: Tensor,
    *,
    ratio: int = 4,
    window: int | None = None,
    valid: Tensor | None = None,
    kept: Kept | None = None,
) -> Tensor:
    """Spatial distortion by local correlation, () or (N,): 0 if fused follows PAN everywhere.

    1 - mean, over sliding windows inside the image and over bands, of the correlation of fused
    with PAN. Shapes: pan (1, H, W). `window`: side in PAN pixels, default `ratio`, as in
    the paper. Nothing is rounded. Windows where fused or PAN is flat
    count as correlation 0, so that blurring does not help. Nodata: a window with an
    invalid pixel is left out, since its moments would mix it in.
    Source: Scarpa and Ciotola 2022, Remote Sensing 14(8):1808, doi:10.3390/rs14081808.
    """
    side = ratio if window is None else window
    if side < 2:
        raise ShapeError(f"correlation needs windows of 2 pixels a side; got {side}")
    check_pan(pan, fused)
    pair = as_pair(fused, pan.expand_as(fused), valid, one_range=False, names=("fused", "PAN"))
    kept = kept if pan.numel() <= _KEPT_PIXELS else None

    def moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """About the strip's mean, so that small windows of bright images keep their digits.

        The image, its sums, and the spread of each window, infinite where it is flat.
        """
        x = x - x.mean((-2, -1), keepdim=True)
        sums, energy = box(x, side), box(x * x, side)
        # The rounding of the subtracted means counts as well as that of the remainder.
        least = energy * FLAT
        variance = energy.addcmul_(sums, sums, value=-1 / side**2)
        return x, sums, torch.where(variance > least, variance, torch.inf).sqrt_()

    def correlation(of_pan: Tensor) -> Callable[[Tensor], Tensor]:
        y, sy, spread_y = moments(of_pan)

        def beside(of_band: Tensor) -> Tensor:
            x, sx, spread = moments(of_band)
            covariance = box(x.mul_(y), side).addcmul_(sx, sy, value=-1 / side**2)
            return covariance.div_(spread.mul_(spread_y)).clamp_(-1, 1)

        return beside

    return pair.give(1 - mean_beside_one(pair, side, correlation, "D_rho", kept))


def _spectral(views: Views, ratio: int, convention: GridPhase, kept: Kept | None = None) -> Tensor:
    C = views.fused.shape[1]
    first, second = torch.triu_indices(C, C, 1, device=views.fused.device).unbind()
    up = once(kept, "up", lambda: _expand(views.ms, ratio, convention))
    after, before = (
        block_uqi(image, image, block=_BLOCK, valid=views.valid)[:, first, second]
        for image in (views.fused, up)
    )
    # A single band has no other to compare.
    return views.give((after - before).abs().sum(1) / max(1, len(first)))


def _spatial(views: Views, ratio: int, convention: GridPhase, kept: Kept | None = None) -> Tensor:
    pan = views.pan
    assert pan is not None

    def of_pair() -> Tensor:
        if convention == "toolbox":
            low = interp23(imresize_bicubic(pan, ratio), ratio)
        else:
            low = upsample(reduce_pan(pan.double(), ratio), ratio)
        up = once(kept, "up", lambda: _expand(views.ms, ratio, convention))
        return block_uqi(up, low, block=_BLOCK, valid=views.valid)

    after = block_uqi(views.fused, pan, block=_BLOCK, valid=views.valid)
    before = once(kept, "UQI of the pair", of_pair)
    return views.give((after - before).abs().mean((1, 2)))


def _q2n(truth: Tensor, low_passed: Tensor, valid: Tensor | None, convention: GridPhase) -> Tensor:
    pair = as_pair(truth, low_passed, valid, names=("MS", "fused"))
    return mean_quality(pair, _BLOCK, convention)


def _expand(ms: Tensor, ratio: int, convention: GridPhase) -> Tensor:
    return interp23(ms, ratio) if convention == "toolbox" else upsample(ms.double(), ratio)


def _gains(mtf: tuple[float, ...], views: Views) -> Tensor:
    N, C = views.fused.shape[:2]
    if len(mtf) != C:
        raise ShapeError(f"need a gain for each of {C} bands; got {len(mtf)}")
    return torch.tensor([mtf], dtype=torch.float64, device=views.fused.device).expand(N, C)

"""SAM and ERGAS."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import MetricError
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.input_checks import Pair, as_pair, refuse_empty

_WIDE = 16


def sam(gt: Tensor, fused: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Spectral angle mapper, degrees, () or (N,): mean angle between the pixels' spectra.

    Border: every pixel counts. No rounding, so 0..1 and DN give the same.
    Zero pixels: where either spectrum is all zero there is no angle; such pixels are left out,
    as in the toolbox. Nodata: left out, exactly. Symmetric.
    Raises: MetricError if no pixel has an angle, and as in input_checks.py.
    Source: Yuhas, Goetz and Boardman 1992, JPL 92-14 1:147-149.
    """
    pair = as_pair(gt, fused, valid, one_range=False, lazy=True)
    N, C = pair.gt.shape[:2]
    x, y = (image.flatten(2) for image in (pair.gt, pair.fused))
    angle = x.new_zeros(N, dtype=torch.float64)
    count = torch.zeros(N, dtype=torch.long, device=x.device)
    for n, run in chunks(N, x.shape[2], x.device, each=C):
        a, b = x[n, :, run].double(), y[n, :, run].double()
        cross, energy = (a * b).sum(1), (a * a).sum(1).mul_((b * b).sum(1))
        has_angle = energy != 0  # not zeroed nodata; NaN passes, for `settle` to find
        # One root of the product: of equal spectra the cosine is then 1, to the last digit.
        cosine = cross.div_(energy.sqrt_()).clamp_(-1, 1)
        angle[n] += torch.where(has_angle, cosine.acos_(), 0).sum(1)
        count[n] += has_angle.sum(1)
    pair.settle(angle)
    refuse_empty(count, "pixel with two spectra that are not zero")
    return pair.give(torch.rad2deg(angle / count))


def ergas(gt: Tensor, fused: Tensor, *, ratio: int = 4, valid: Tensor | None = None) -> Tensor:
    """Relative dimensionless global error in synthesis, () or (N,): 0 is perfect.

    100 / ratio * sqrt(mean over bands of MSE_b / mean(gt_b)^2). Not symmetric: gt comes first.
    Border: every pixel counts. No rounding. Nodata: left out of errors and means, exactly.
    Zero pixels count; a band of zero mean makes it infinite unless it is matched exactly.
    Raises: MetricError as in input_checks.py.
    Source: Wald 2000, Fusion of Earth Data, 99-103.
    """
    if ratio < 1:
        raise MetricError(f"ratio is PAN pixels per MS pixel, 1 or more; got {ratio}")
    pair = as_pair(gt, fused, valid, lazy=True)
    mse, mean = errors(pair), mean_of_bands(pair)
    relative = torch.where(mse > 0, mse / mean**2, 0.0)
    return pair.give(100 / ratio * relative.mean(1).sqrt())


def errors(pair: Pair) -> Tensor:
    """Mean square error, (N, C), over valid pixels.

    Squares and sums of a row in the images' own precision, of rows in float64: of float32
    images the error is 1e-9 of the result, and nothing is copied. Raises: MetricError for NaN.
    """
    N, C, H, W = pair.gt.shape
    x, y = pair.gt.flatten(0, 1), pair.fused.flatten(0, 1)
    square = x.new_zeros(N * C, dtype=torch.float64)
    for plane, rows in chunks(N * C, H, x.device, each=W, wide=_WIDE):
        squares = F.mse_loss(x[plane, rows], y[plane, rows], reduction="none")
        square[plane] += squares.sum(-1).sum(-1, dtype=torch.float64)
    return pair.settle(square.reshape(N, C)) / pixels(pair)[:, None]


def mean_of_bands(pair: Pair) -> Tensor:
    """Mean of gt, (N, C), over valid pixels; precision as in `errors`."""
    return pair.gt.sum(-1).sum(-1, dtype=torch.float64) / pixels(pair)[:, None]


def pixels(pair: Pair) -> Tensor:
    """(N,): how many pixels are valid."""
    N, _, H, W = pair.gt.shape
    if pair.valid is None:
        return torch.full((N,), H * W, device=pair.gt.device)
    return pair.valid.sum((-2, -1))

"""TV: the image of least total variation that explains both MS and PAN."""

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from fusiontrain.classical.images import MethodInputs
from fusiontrain.classical.statistics import SceneStatistics, nonnegative_least_squares
from fusiontrain.imaging.reference_toolbox import imresize_bilinear

_SLIP = 4  # the toolbox's adjoint takes the channel four on: right for four bands only
_C = 8.0  # bounds the largest eigenvalue of the gradient's square


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Step 1 / alpha, weight of the total variation, and iterations."""

    alpha: float
    smoothness: float
    iterations: int


# By sensor, with PAN's weights, as the toolbox's demonstration gives them.
_GEOEYE = (
    Settings(alpha=0.75, smoothness=157.8954, iterations=50),
    (0.1552, 0.3959, 0.2902, 0.1587),
)
TOOLBOX = {
    "IKONOS": (
        Settings(alpha=1.064, smoothness=0.47106, iterations=10),
        (0.1091, 0.2127, 0.2928, 0.3854),
    ),
    "GeoEye-1": _GEOEYE,
    "WorldView-4": _GEOEYE,
    "WorldView-3": (
        Settings(alpha=0.75, smoothness=1.0e-3, iterations=50),
        (0.0657, 0.1012, 0.1537, 0.1473, 0.1245, 0.1545, 0.1338, 0.1192),
    ),
}
_SMOOTHNESS, _AT_SPREAD = 0.47106, 150.0  # IKONOS's, and its bands' spread in DN
_ITERATIONS = 10


def tv(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Total variation with PAN as a weighted sum of the fused bands.

    The weights are the non-negative regression of PAN at MS scale on the MS, brought to sum 1;
    PAN gives up that regression's constant and gain first, so its units do not matter.
    Source: Palsson, Sveinsson and Ulfarsson 2014, IEEE GRSL 11(1):318-322.
    """
    C = f.bands
    if f.toolbox and f.sensor.name in TOOLBOX:
        settings, shares = TOOLBOX[f.sensor.name]
        if len(shares) == C:
            weights = f.ms.new_tensor(shares)
            pairs = zip(f.ms, f.pan, strict=True)
            return torch.stack(
                [minimise(ms, pan, weights, f.ratio, settings, slips=True) for ms, pan in pairs]
            )
    moments = statistics.moments("coarse")
    fused = []
    for i, covariance in enumerate(moments.covariance.cpu()):
        weights = nonnegative_least_squares(covariance[:C, :C], covariance[:C, C])
        total = float(weights.sum())
        if total <= 0:  # no band goes with PAN: nothing to explain
            fused.append(f.up[i])
            continue
        constant = float(moments.mean[i, C] - weights @ moments.mean[i, :C].cpu())
        weights = (weights / total).to(f.ms)
        spread = float(moments.spread[i, :C].mean())
        settings = Settings(
            alpha=1 + float(weights.square().sum()),  # no smaller step is sure to converge
            smoothness=_SMOOTHNESS * max(spread, 1e-6) / _AT_SPREAD,
            iterations=_ITERATIONS,
        )
        pan = (f.pan[i] - constant) / total
        fused.append(minimise(f.ms[i], pan, weights, f.ratio, settings, slips=False))
    return torch.stack(fused)


def minimise(
    ms: Tensor, pan: Tensor, weights: Tensor, ratio: int, settings: Settings, *, slips: bool
) -> Tensor:
    """Majorisation-minimisation from zero: ms (C, h, w), pan (1, H, W) -> (C, H, W).

    `slips` repeats two of the toolbox's code, for its numbers: the dual step leaves out a term
    and has a sign turned, and the gradient's adjoint takes the vertical terms four channels on,
    which with other than four bands are those of another band.
    """
    C = len(ms)
    x = pan.new_zeros(C, *pan.shape[1:])
    z = pan.new_zeros(2, C, *pan.shape[1:])
    across = weights[:, None, None]
    for _ in range(settings.iterations):
        coarse = ms - imresize_bilinear(x, Fraction(1, ratio))
        missing = pan - (across * x).sum(0, keepdim=True)
        b = settings.alpha * x + imresize_bilinear(coarse, Fraction(ratio)) + across * missing
        squares = _gradient(x).square_()
        steepness = squares[0].add_(squares[1]).sqrt_()
        bound = steepness.mul_(2 * settings.alpha / settings.smoothness).add_(_C)
        turned = _gradient(_adjoint(z, slips))
        z = turned if slips else z.mul_(_C).sub_(turned)
        z = z.add_(_gradient(b)).div_(bound)
        x = b.sub_(_adjoint(z, slips)).div_(settings.alpha)
    return x


def _gradient(x: Tensor) -> Tensor:
    """(C, H, W) -> (2, C, H, W): differences to the right and down; none beyond the edge."""
    out = x.new_zeros(2, *x.shape)
    torch.sub(x[..., 1:], x[..., :-1], out=out[0, ..., :-1])
    torch.sub(x[..., 1:, :], x[..., :-1, :], out=out[1, ..., :-1, :])
    return out


def _adjoint(z: Tensor, slips: bool) -> Tensor:
    right, down = z
    if slips:
        down = torch.cat([right, down])[_SLIP : _SLIP + len(right)]
    # The adjoint of the differences: the last row or column is not used.
    out = torch.empty_like(right)
    out[..., 0] = -right[..., 0]
    torch.sub(right[..., :-2], right[..., 1:-1], out=out[..., 1:-1])
    out[..., -1] = right[..., -2]
    out[..., 0, :] -= down[..., 0, :]
    out[..., 1:-1, :] += down[..., :-2, :] - down[..., 1:-1, :]
    out[..., -1, :] += down[..., -2, :]
    return out

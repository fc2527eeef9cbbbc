"""Statistics of a whole scene, added up window by window; least squares on them.

All that classical methods need of a whole scene follows from these, so that a scene of any size
is fused in windows as in one piece.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs
from fusiontrain.imaging.masks import ms_valid_mask

_PIECE = 2**15  # pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Of K channels over `count` pixels; float64. `scatter`: sums of products about the mean."""

    count: int
    mean: Tensor  # (B, K)
    scatter: Tensor  # (B, K, K)

    @staticmethod
    def of(channels: Tensor, valid: Tensor | None = None) -> "Moments":
        """(B, K, H, W); `valid` (H, W) bool counts only data."""
        every = valid is None or bool(valid.all())
        flat = channels.flatten(2) if every else channels[..., valid]
        n = flat.shape[-1]
        # About the mean of the first pixels, near enough to lose no digits; by pieces
        # that stay in the cache: float64 copies of whole windows cost more than the sums.
        near = flat[..., :_PIECE].double().sum(-1, keepdim=True) / max(min(n, _PIECE), 1)
        total = torch.zeros_like(near)
        scatter = near.new_zeros(*near.shape[:2], near.shape[1])
        for start in range(0, n, _PIECE):
            centred = flat[..., start : start + _PIECE].double() - near
            total += centred.sum(-1, keepdim=True)
            scatter += centred @ centred.mT
        scatter -= total @ total.mT / max(n, 1)
        return Moments(count=n, mean=(near + total / max(n, 1))[..., 0], scatter=scatter)

    def __add__(self, other: "Moments") -> "Moments":
        """Source: Chan, Golub and LeVeque 1983, The American Statistician 37(3):242-247."""
        n = max(self.count + other.count, 1)
        apart = other.mean - self.mean
        between = apart[..., :, None] * apart[..., None, :] * (self.count * other.count / n)
        return Moments(
            count=self.count + other.count,
            mean=self.mean + apart * (other.count / n),
            scatter=self.scatter + other.scatter + between,
        )

    @property
    def covariance(self) -> Tensor:
        """(B, K, K), N - 1."""
        return self.scatter / max(self.count - 1, 1)

    @property
    def spread(self) -> Tensor:
        """(B, K) standard deviations, N - 1."""
        return self.covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()

    @property
    def second(self) -> Tensor:
        """(B, K, K): mean products about zero."""
        return self.scatter / max(self.count, 1) + self.mean[..., :, None] * self.mean[..., None, :]

    def regress(self, y: Sequence[int], on: Sequence[int], *, constant: bool) -> Tensor:
        """Least-squares weights (B, len(on), len(y)) of channels `on` for channels `y`.

        With `constant` the fit has an intercept, which is mean(y) - weights . mean(on).
        """
        table = self.covariance if constant else self.second
        normal = table[:, list(on)][:, :, list(on)]
        # Bands in DN of very different size: unit diagonals keep the inverse exact.
        size = normal.diagonal(dim1=-2, dim2=-1).clamp_min(torch.finfo(normal.dtype).tiny).sqrt()
        scaled = normal / size[..., :, None] / size[..., None, :]
        right = table[:, list(on)][:, :, list(y)] / size[..., None]
        return torch.linalg.pinv(scaled, hermitian=True) @ right / size[..., None]


class SceneStatistics:
    """Moments of a scene by the name of their stack: computed from `inputs` when first used.

    For a window of a larger scene they are `collected` beforehand, and `inputs` is the window's.
    """

    def __init__(
        self,
        inputs: MethodInputs,
        collected: "StatisticsAccumulator | None" = None,
        valid: Tensor | None = None,
    ) -> None:
        """`valid` (H, W) bool: the PAN pixels that count; an MS pixel counts if all of its do."""
        self.inputs = inputs
        self._valid = valid
        self._collected = collected
        self._own = StatisticsAccumulator()

    def moments(self, stack: str) -> Moments:
        if self._collected is not None:
            return self._collected.moments[stack]
        if stack not in self._own.moments:
            valid = self._valid
            if valid is not None and stack in COARSE_STACKS:
                valid = ms_valid_mask(valid, self.inputs.ratio)
            self._own.moments[stack] = Moments.of(STACKS[stack](self.inputs, self), valid)
        return self._own.moments[stack]

    def darkest(self) -> Tensor:
        """(B, C): see darkest_values."""
        store = self._collected or self._own
        if store.darkest is None:
            up = self.inputs.up
            store.darkest = darkest_values(
                up.flatten(2) if self._valid is None else up[..., self._valid]
            )
        return store.darkest


@dataclass(slots=True)
class StatisticsAccumulator:
    """Statistics of a scene, added up window by window in first passes over it."""

    moments: dict[str, Moments] = field(default_factory=dict)
    darkest: Tensor | None = None

    def add(self, stack: str, part: Moments) -> None:
        self.moments[stack] = self.moments[stack] + part if stack in self.moments else part


def darkest_values(values: Tensor) -> Tensor:
    """(B, C, N) -> (B, C): first percentile of four bands, else the minimum; as the toolbox."""
    if values.shape[1] != 4:
        return values.amin(-1)
    # MATLAB's prctile(x, 1): the k-th of n sorted values is percentile (k - 1/2) / n.
    n = values.shape[-1]
    place = min(max(0.01 * n - 0.5, 0.0), n - 1.0)
    below, part = int(place), place - int(place)
    first = values.kthvalue(below + 1, -1).values
    second = values.kthvalue(min(below + 1, n - 1) + 1, -1).values
    return (1 - part) * first + part * second


def matched_bands(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """PRACS's bands: each brought to PAN's mean and spread, nothing below zero."""
    moments = statistics.moments("bands")
    C = f.bands
    mean, spread = (f.per_band(x) for x in (moments.mean, moments.spread))
    scale = spread[:, C:] / spread[:, :C].clamp_min(TINY)
    return ((f.up - mean[:, :C]) * scale + mean[:, C:]).clamp_min(0)


def _matched(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    bands = matched_bands(f, statistics)
    return torch.cat([bands, f.bicubic_there_and_back(bands), f.pan, f.pan_bicubic, f.up], 1)


def _one_level_down(f: MethodInputs, _: SceneStatistics) -> Tensor:
    ms, low, pan = f.level_down
    return torch.cat([ms - low, low, pan], 1)


# The stacks whose moments methods use; C bands each, one for PAN.
STACKS: dict[str, Callable[[MethodInputs, SceneStatistics], Tensor]] = {
    "bands": lambda f, _: torch.cat([f.up, f.pan], 1),
    "gauss": lambda f, _: torch.cat([f.up, f.pan, f.pan_gauss], 1),
    "bicubic": lambda f, _: torch.cat([f.up, f.pan, f.pan_bicubic], 1),
    "pyramid": lambda f, _: torch.cat([f.up, f.pan, f.pan_low], 1),
    "coarse": lambda f, _: torch.cat([f.ms, f.pan_at_ms], 1),
    "level down": _one_level_down,
    "matched": _matched,
}
COARSE_STACKS = frozenset({"coarse", "level down"})  # on the MS's grid, the others on the PAN's


def nonnegative_least_squares(normal: Tensor, right: Tensor) -> Tensor:
    """X >= 0 that minimises x' normal x / 2 - right' x: (K, K), (K,) -> (K,). Active sets.

    Source: Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23.
    """
    size = len(right)
    x = torch.zeros_like(right)
    free = torch.zeros(size, dtype=torch.bool)
    tolerance = 1e-12 * float(right.abs().max().clamp_min(1e-300))
    for _ in range(10 * size):
        slope = right - normal @ x
        slope[free] = -torch.inf
        if bool(free.all()) or float(slope.max()) <= tolerance:
            break
        free[int(slope.argmax())] = True
        while True:
            target = torch.zeros_like(x)
            chosen = normal[free][:, free]
            target[free] = torch.linalg.lstsq(chosen, right[free, None]).solution[:, 0]
            outside = free & (target <= 0)
            if not bool(outside.any()):
                x = target
                break
            # Step to the first bound on the way; that variable is then fixed at zero.
            step = (x / (x - target))[outside].min()
            x = x + step * (target - x)
            free = free & (x > tolerance)
            x = torch.where(free, x, 0.0)
    return x

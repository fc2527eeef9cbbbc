"""Means and covariances of a stack of images, added up window by window; least squares on them.

Whatever a classical method must know of a whole scene follows from these, so a scene of any
size is fused in windows as it would be in one piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
        # About the mean of the first pixels, which is near enough to lose no digits; by pieces
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
            wanted = torch.zeros_like(x)
            chosen = normal[free][:, free]
            wanted[free] = torch.linalg.lstsq(chosen, right[free, None]).solution[:, 0]
            outside = free & (wanted <= 0)
            if not bool(outside.any()):
                x = wanted
                break
            # Go as far as the first bound on the way, and hold on there.
            step = (x / (x - wanted))[outside].min()
            x = x + step * (wanted - x)
            free = free & (x > tolerance)
            x = torch.where(free, x, 0.0)
    return x

"""Input checks of every index: one shape, finite values, one range.

Pixels that `valid` rules out are set to zero here, so that they reach no index.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.errors import MetricError, ShapeError

# Reflectance may exceed 1 on snow and glint; no sensor's DN range ends below 2**6.
REFLECTANCE_ENDS, DN_ENDS = 1.5, 63
SUSPECT = 16  # means this far apart are checked; ranges of DN and fractions differ by 63 or more


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two images to compare, as a batch."""

    gt: Tensor  # (N, C, H, W) float32 or float64
    fused: Tensor  # the same
    valid: Tensor | None  # (N, H, W) bool; None: everywhere
    single: bool  # given without N, and returned without it
    names: tuple[str, str] = ("gt", "fused")

    def give(self, value: Tensor) -> Tensor:
        return value[0] if self.single else value

    def refuse_nan(self) -> None:
        """Raises: MetricError, with the count of pixels that are NaN or infinite."""
        for image, name in zip((self.gt, self.fused), self.names, strict=True):
            refuse_nan(image, name)

    def settle(self, sums: Tensor) -> Tensor:
        """The same sums, if finite. NaN and infinities of any pixel show in the sums of all."""
        if not bool(torch.isfinite(sums).all()):
            self.refuse_nan()
        return sums


def as_pair(
    gt: Tensor,
    fused: Tensor,
    valid: Tensor | None = None,
    *,
    one_range: bool = True,
    lazy: bool = False,
    names: tuple[str, str] = ("gt", "fused"),
) -> Pair:
    """Both as (N, C, H, W), nodata zeroed.

    Raises: ShapeError unless shapes agree. MetricError if nothing is valid, if a valid pixel is
        NaN or infinite, or (`one_range`) if one image is in DN and the other in 0..1. With
        `lazy` the caller checks for NaN by `settle`, on sums that it computes anyway.
    """
    if gt.shape != fused.shape or gt.ndim not in (3, 4) or not gt.numel():
        raise ShapeError(
            f"expected {names[0]} and {names[1]} of one shape, (C, H, W) or (N, C, H, W); "
            f"got {tuple(gt.shape)} and {tuple(fused.shape)}"
        )
    valid = as_valid(valid, gt)
    first, second = (as_images(image, valid) for image in (gt, fused))
    pair = Pair(gt=first, fused=second, valid=valid, single=gt.ndim == 3, names=names)
    if not lazy:
        pair.refuse_nan()
    if one_range:
        _check_ranges(pair)
    return pair


def as_valid(valid: Tensor | None, image: Tensor) -> Tensor | None:
    """(N, H, W) bool on the image's device, or None. Raises: ShapeError, MetricError."""
    if valid is None:
        return None
    N = 1 if image.ndim == 3 else len(image)
    H, W = image.shape[-2:]
    if tuple(valid.shape) not in ((H, W), (N, H, W)) or valid.dtype != torch.bool:
        raise ShapeError(
            f"valid must be bool, {(H, W)} or {(N, H, W)}; got {valid.dtype}, {tuple(valid.shape)}"
        )
    valid = valid.to(image.device).expand(N, H, W)
    refuse_empty(valid.sum((-2, -1)), "valid pixel")
    return valid


def as_images(image: Tensor, valid: Tensor | None) -> Tensor:
    """(N, C, H, W) float32 or float64, zero where not valid."""
    batch = image[None] if image.ndim == 3 else image
    if batch.dtype not in (torch.float32, torch.float64):
        batch = batch.to(torch.float64)
    if valid is not None:
        batch = torch.where(valid[:, None], batch, 0)
    return batch


def refuse_nan(image: Tensor, name: str) -> None:
    # One sum shows whether there is anything to count, without a mask the size of the image.
    if bool(torch.isfinite(image.sum())):
        return
    count = int((~torch.isfinite(image)).any(1).sum())
    if count:
        raise MetricError(
            f"{count} of the pixels of {name} that count are NaN or infinite\n"
            "  do: give valid=, False where a pixel is nodata, or repair the image"
        )


def sample(image: Tensor) -> Tensor:
    """Pixels from all parts of the image: enough to suspect a range, not to refuse one."""
    return image[..., :: max(1, image.shape[-2] // 32), :: max(1, image.shape[-1] // 32)]


def refuse_empty(count: Tensor, what: str) -> None:
    """Raises: MetricError where one of the (N,) counts is zero."""
    if bool((count == 0).any()):
        empty = torch.nonzero(count == 0).flatten().tolist()
        raise MetricError(
            f"no {what} is left to compare (image {', '.join(map(str, empty))} of {len(count)})\n"
            "  do: check valid= and the image's values there"
        )


def _check_ranges(pair: Pair) -> None:
    images = (pair.gt, pair.fused)
    low, high = sorted(float(sample(image).mean().abs()) for image in images)
    if low > REFLECTANCE_ENDS or high < SUSPECT * low:
        return
    pair.refuse_nan()
    ranges = [tuple(float(v) for v in image.aminmax()) for image in images]
    ends = sorted(max(abs(v) for v in limits) for limits in ranges)
    if 0 < ends[0] <= REFLECTANCE_ENDS and ends[1] >= DN_ENDS:
        described = " and ".join(
            f"{name} in {low:.4g}..{high:.4g}"
            for name, (low, high) in zip(pair.names, ranges, strict=True)
        )
        raise MetricError(
            f"one image is in DN, the other in fractions of the range: {described}\n"
            "  do: multiply or divide one of them by 2**bits - 1"
        )

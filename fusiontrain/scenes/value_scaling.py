"""DN mapped to a narrower dtype: `scale`, as asked and as measured on a scene."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fusiontrain.errors import SceneError
from shards.console import one_line

FORMS = "2%,98% (percentiles of each band), MIN,MAX (of all bands) or bits (the sensor's)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How DN are mapped to the output's dtype, as asked."""

    kind: Literal["percentiles", "range", "bits"]
    low: float = 0.0
    high: float = 0.0

    @staticmethod
    def of(value: "str | tuple[float, float] | Scale | None") -> "Scale | None":
        """Of "2%,98%", "0,3000", (0, 3000) or "bits".

        Two numbers are a range of DN, be they 0 and 100; percent signs alone make percentiles.
        Raises: SceneError naming the forms.
        """
        if value is None or isinstance(value, Scale):
            return value
        if isinstance(value, str) and value.strip().lower() == "bits":
            return Scale(kind="bits")
        try:
            low, high, marked = _two_numbers(value)
        except (ValueError, TypeError):
            raise SceneError(f"`scale` is {FORMS}; got {one_line(repr(value))}") from None
        if not (np.isfinite((low, high)).all() and low < high):
            raise SceneError(f"`scale` is LOW,HIGH with LOW the smaller; got {value!r}")
        if marked and not 0 <= low < high <= 100:
            raise SceneError(f"percentiles of `scale` are from 0% to 100%; got {value!r}")
        return Scale(kind="percentiles" if marked else "range", low=low, high=high)


def _two_numbers(value: str | tuple[float, float]) -> tuple[float, float, bool]:
    if not isinstance(value, str):
        low, high = value
        return float(low), float(high), False
    texts = [text.strip() for text in value.split(",")]
    low, high = (float(text.rstrip("% ")) for text in texts)
    return low, high, any(text.endswith("%") for text in texts)


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueScaling:
    """DN `low` to `high` of each band become 0 to `top`, the largest number of the dtype."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    top: float

    def __call__(self, fused: np.ndarray) -> np.ndarray:
        """(C, H, W) DN -> the same in float32, not yet rounded or cut off at the ends."""
        low, high = (np.asarray(v, np.float32)[:, None, None] for v in (self.low, self.high))
        return (fused - low) * (np.float32(self.top) / (high - low))

    def scale_and_offset(self, scale: float, offset: float, band: int) -> tuple[float, float]:
        """The band's scale and offset (from 0) that still give physical values."""
        step = (self.high[band] - self.low[band]) / self.top
        return scale * step, scale * self.low[band] + offset

    def __str__(self) -> str:
        pairs = [f"{a:g}..{b:g}" for a, b in zip(self.low, self.high, strict=True)]
        shown = pairs[0] if len(set(pairs)) == 1 else "; ".join(pairs)
        return f"DN {shown} -> 0..{self.top:g}"


def is_narrowing(source: np.dtype, bits: int | None, target: np.dtype) -> bool:
    """Whether `target` lacks numbers that `source`, of `bits` where these are fewer, may hold."""
    if target.kind == "f":
        return False
    if source.kind == "f":
        return True
    have, room = np.iinfo(source), np.iinfo(target)
    return have.min < room.min or (2**bits - 1 if bits else have.max) > room.max


def check_narrowing(
    source: np.dtype, bits: int | None, target: np.dtype, scaling: object | None
) -> None:
    """Raises: SceneError if values would be cut off or rounded away, and no scale is given."""
    if scaling is None and is_narrowing(source, bits, target):
        top = np.iinfo(target).max
        raise SceneError(
            f"`dtype={target}` does not hold the values of the MS, {source}: give `scale`: "
            f"{FORMS}; 0,{top} keeps the values, cut off there"
        )

"""Window arithmetic: cores that tile a scene, and what must be read around them. Pure.

Lengths in MS pixels; windows start at multiples of `step`, so that every network sees the
same pixel grid in every window.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Rows top..bottom and columns left..right, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    def scaled(self, ratio: int) -> "Box":
        """The same ground on a grid `ratio` times finer."""
        return Box(
            top=self.top * ratio,
            left=self.left * ratio,
            bottom=self.bottom * ratio,
            right=self.right * ratio,
        )

    def inside(self, outer: "Box") -> tuple[slice, slice]:
        """Where this box lies in an array that covers `outer`."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowExtent:
    """`core` is written; `padded` is read: the core and a halo, cut at the scene's edge."""

    core: Box
    padded: Box


def grid_step(ratio: int, multiple_of: int) -> int:
    """MS pixels between allowed window starts, where the network wants multiples of PAN pixels."""
    return math.lcm(ratio, multiple_of) // ratio


def tile_scene(
    height: int, width: int, *, side: int, halo: int, step: int
) -> Iterator[WindowExtent]:
    """Tiles, row by row, whose cores cover (height, width) exactly once."""
    side, halo = max(1, -(-side // step)) * step, -(-halo // step) * step
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield window_at(top, left, side, (height, width), halo=halo, step=step)


def window_at(
    top: int, left: int, side: int, shape: tuple[int, int], *, halo: int, step: int
) -> WindowExtent:
    """The tile of one core of `side` at (top, left) of a scene of `shape`."""
    height, width = shape
    halo = -(-halo // step) * step
    core = Box(top=top, left=left, bottom=min(top + side, height), right=min(left + side, width))
    padded = Box(
        top=max(0, top - halo),
        left=max(0, left - halo),
        bottom=min(height, core.bottom + halo),
        right=min(width, core.right + halo),
    )
    return WindowExtent(core=core, padded=padded)

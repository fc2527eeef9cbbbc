"""Tiling: the windows of a scene, cores that cover it once and the halo read around each.

Lengths in MS pixels. Windows start at multiples of `step`, so that a network's own grid has the
same position in every window.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A rectangle of pixels: rows top..bottom and columns left..right, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    def scaled(self, ratio: int) -> "Box":
        """The same rectangle on a grid `ratio` times finer."""
        return Box(
            top=self.top * ratio,
            left=self.left * ratio,
            bottom=self.bottom * ratio,
            right=self.right * ratio,
        )

    def inside(self, outer: "Box") -> tuple[slice, slice]:
        """Slices of this box in an array that covers `outer`."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowExtent:
    """One window: `core` is written; `padded`, the core and its halo inside the scene, is read."""

    core: Box
    padded: Box

    def widened(self, margin: int) -> "WindowExtent":
        """The same pixels read, of which `margin` more around the core are given."""
        core, outer = self.core, self.padded
        wide = Box(
            top=max(outer.top, core.top - margin),
            left=max(outer.left, core.left - margin),
            bottom=min(outer.bottom, core.bottom + margin),
            right=min(outer.right, core.right + margin),
        )
        return WindowExtent(core=wide, padded=outer)


def grid_step(ratio: int, multiple_of: int) -> int:
    """Smallest MS step of window starts that are multiples of `multiple_of` PAN pixels."""
    return math.lcm(ratio, multiple_of) // ratio


def tile_scene(
    height: int, width: int, *, side: int, halo: int, step: int, across: int = 1
) -> Iterator[WindowExtent]:
    """Windows, row by row, whose cores cover (height, width) exactly once.

    A core has `side` rows, and `across` times as many columns.
    """
    side, halo = max(1, -(-side // step)) * step, -(-halo // step) * step
    for top in range(0, height, side):
        for left in range(0, width, across * side):
            yield window_at(top, left, side, (height, width), halo=halo, step=step, across=across)


def window_at(
    top: int,
    left: int,
    side: int,
    shape: tuple[int, int],
    *,
    halo: int,
    step: int,
    across: int = 1,
) -> WindowExtent:
    """The window whose core begins at (top, left) of a scene of `shape`; else as tile_scene."""
    height, width = shape
    halo = -(-halo // step) * step
    bottom, right = min(top + side, height), min(left + across * side, width)
    core = Box(top=top, left=left, bottom=bottom, right=right)
    padded = Box(
        top=max(0, top - halo),
        left=max(0, left - halo),
        bottom=min(height, core.bottom + halo),
        right=min(width, core.right + halo),
    )
    return WindowExtent(core=core, padded=padded)

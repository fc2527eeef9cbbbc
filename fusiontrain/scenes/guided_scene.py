"""Bands of one or more grids on the same guides: several sharp bands in the place of a PAN.

A group is the bands of one grid; as a WindowedScene its windows have the guides as `pan`,
(G, H, W). Groups of different ratios share one PAN grid, on which all of them begin.
"""

import math
import threading
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.grids import MAX_RATIO
from fusiontrain.scenes.scene import SceneWrapper, Window, WindowedScene, check_side

GUIDES = -1  # in `order`: the place of a guide in place of a group
OutputBand = tuple[int, int]  # (group, or GUIDES; its band from 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedScene:
    """Groups on common ground, and which of their bands and guides make up the output.

    Satisfies WindowedScene: a pixel of its MS is `ratio` guide pixels, in which pixels of every
    group's grid are whole; a band's value there is the mean.
    """

    groups: tuple[WindowedScene, ...]
    order: tuple[OutputBand, ...]
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    factor: float = 1.0  # of what `group` gives over DN as they are, which `read` gives

    @property
    def bands(self) -> int:
        return len(self.order)

    @property
    def ratio(self) -> int:
        return math.lcm(*(group.ratio for group in self.groups))

    @property
    def shape(self) -> tuple[int, int]:
        (h, w), times = self.groups[0].shape, self.ratio // self.groups[0].ratio
        return h // times, w // times

    @property
    def phase(self) -> GridPhase:
        return self.groups[0].phase

    def group(self, index: int) -> "LockedScene":
        """A group that may be read beside others: GDAL's files serve one thread at a time."""
        return LockedScene(scene=self.groups[index], lock=self.lock, factor=self.factor)

    def read(self, box: Box) -> Window:
        windows = [
            LockedScene(scene=group, lock=self.lock).read(box.scaled(self.ratio // group.ratio))
            for group in self.groups
        ]
        valid = torch.stack([window.valid for window in windows]).all(0)
        guides = windows[0].pan
        coarse = [_means(window.ms, box.shape) for window in windows]
        low = _means(guides, box.shape)
        chosen = [low[band] if group == GUIDES else coarse[group][band]
                  for group, band in self.order]  # fmt: skip
        return Window(ms=torch.stack(chosen), pan=guides, valid=valid)


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedScene(SceneWrapper):
    """A scene that one thread at a time reads. Satisfies WindowedScene."""

    lock: threading.Lock = field(repr=False)
    factor: float = 1.0  # of its values

    def read(self, box: Box) -> Window:
        with self.lock:
            window = self.scene.read(box)
        if self.factor == 1:
            return window
        return replace(window, ms=window.ms * self.factor, pan=window.pan * self.factor)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedArrays:
    """Bands of one grid and the guides, in memory. Satisfies WindowedScene.

    Raises: SceneError naming the shapes, if the arrays cannot belong together.
    """

    ms: Tensor = field(repr=False)  # (C, h, w) DN
    guides: Tensor = field(repr=False)  # (G, H, W) DN
    valid: Tensor | None = field(default=None, repr=False)  # (H, W) bool; None: every pixel
    phase: GridPhase = "aligned"

    def __post_init__(self) -> None:
        (h, w), (H, W) = self.ms.shape[1:], self.guides.shape[1:]
        if not 2 <= self.ratio <= MAX_RATIO or (h * self.ratio, w * self.ratio) != (H, W):
            raise SceneError(
                f"guides must have a whole number of pixels, 2 to {MAX_RATIO}, for each of the "
                f"MS's, the same on both axes; got MS {tuple(self.ms.shape)}, guides "
                f"{tuple(self.guides.shape)}. Were the two exchanged?"
            )
        check_side((h, w))

    @property
    def bands(self) -> int:
        return self.ms.shape[0]

    @property
    def ratio(self) -> int:
        return self.guides.shape[1] // max(1, self.ms.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        return self.ms.shape[1], self.ms.shape[2]

    def read(self, box: Box) -> Window:
        fine = box.scaled(self.ratio)
        rows, columns = slice(fine.top, fine.bottom), slice(fine.left, fine.right)
        guides = self.guides[:, rows, columns].float()
        every = torch.ones(guides.shape[1:], dtype=torch.bool)
        return Window(
            ms=self.ms[:, box.top : box.bottom, box.left : box.right].float(),
            pan=guides,
            valid=every if self.valid is None else self.valid[rows, columns],
        )


def _means(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """(C, H, W) -> (C, *shape): means of whole blocks."""
    h, w = shape
    down, along = image.shape[1] // h, image.shape[2] // w
    return image.reshape(len(image), h, down, w, along).mean((2, 4))

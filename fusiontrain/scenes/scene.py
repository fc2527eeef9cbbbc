"""A scene read by windows, as fusion takes it; and a scene in memory, of any format."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.grids import MAX_RATIO
from shards.sensors import GENERIC, Sensor

LEAST_SIDE = 8  # MS pixels; smaller scenes have no statistics
NO_DATA = "no pixel has data in both PAN and MS; look at their nodata values"
_MANY_BANDS = 32  # an axis up to this long may be that of bands


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Pixels of one window. Where `valid` is False values are fill, not data."""

    ms: Tensor  # (C, h, w) float32 DN
    pan: Tensor  # (1, H, W) float32 DN; of a guided scene (G, H, W), or (C, H, W), one a band
    valid: Tensor  # (H, W) bool
    guides: Tensor | None = None  # (G, H, W) float32 DN of which `pan`, one a band, was made


class WindowedScene(Protocol):
    """Anything with aligned PAN and MS, read by windows: a Scene, or files too big for memory."""

    @property
    def bands(self) -> int: ...

    @property
    def ratio(self) -> int:
        """PAN pixels per MS pixel."""

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the overlap in MS pixels."""

    @property
    def phase(self) -> GridPhase:
        """Where MS pixels lie on the PAN's grid."""

    def read(self, box: Box) -> Window:
        """The window `box`, in MS pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneWrapper:
    """A scene on the grids of another, whose windows a subclass reads and changes."""

    scene: WindowedScene

    @property
    def bands(self) -> int:
        return self.scene.bands

    @property
    def ratio(self) -> int:
        return self.scene.ratio

    @property
    def shape(self) -> tuple[int, int]:
        return self.scene.shape

    @property
    def phase(self) -> GridPhase:
        return self.scene.phase


@dataclass(frozen=True, kw_only=True, slots=True)
class Geo:
    """Place of a scene: its CRS as WKT, and rasterio's six numbers of the PAN's grid."""

    crs: str
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """PAN and MS of the same ground, DN. Axes: C bands; H W PAN pixels; h w MS pixels.

    `phase` says where MS pixel i lies on the PAN's grid: "aligned" at ratio * i + (ratio - 1) / 2,
    as in GeoTIFFs; "toolbox" at ratio * i + ratio // 2, as in data simulated by the toolbox.
    Raises: SceneError naming the shapes, if the arrays cannot belong together.
    """

    name: str
    ms: Tensor = field(repr=False)  # (C, h, w)
    pan: Tensor = field(repr=False)  # (1, H, W)
    gt: Tensor | None = field(default=None, repr=False)  # (C, H, W), the truth, where there is one
    valid: Tensor | None = field(default=None, repr=False)  # (H, W) bool; None: every pixel
    sensor: Sensor = GENERIC
    bits: int = 16  # full scale of the DN is 2**bits - 1
    phase: GridPhase = "aligned"
    geo: Geo | None = None
    note: str = ""  # what was assumed while reading

    def __post_init__(self) -> None:
        _check_axes(self.name, self.ms, self.pan)
        H, W = self.pan.shape[1:]
        if self.gt is not None and tuple(self.gt.shape) != (self.bands, H, W):
            raise SceneError(
                f"{self.name}: gt must be {(self.bands, H, W)}, as MS's bands on the PAN's grid; "
                f"got {tuple(self.gt.shape)}"
            )
        if self.valid is not None and tuple(self.valid.shape) != (H, W):
            raise SceneError(f"{self.name}: valid must be {(H, W)}; got {tuple(self.valid.shape)}")
        _check_range(self)

    @property
    def bands(self) -> int:
        return self.ms.shape[0]

    @property
    def ratio(self) -> int:
        return self.pan.shape[1] // self.ms.shape[1]

    @property
    def shape(self) -> tuple[int, int]:
        return self.ms.shape[1], self.ms.shape[2]

    def read(self, box: Box) -> Window:
        fine = box.scaled(self.ratio)
        rows, columns = slice(fine.top, fine.bottom), slice(fine.left, fine.right)
        pan = self.pan[:, rows, columns]
        return Window(
            ms=self.ms[:, box.top : box.bottom, box.left : box.right].float(),
            pan=pan.float(),
            valid=(
                torch.ones(pan.shape[1:], dtype=torch.bool, device=pan.device)
                if self.valid is None
                else self.valid[rows, columns]
            ),
        )


def check_side(shape: tuple[int, int]) -> None:
    """SceneError if a scene is too small to have statistics."""
    if min(shape) < LEAST_SIDE:
        raise SceneError(
            f"the overlap of PAN and MS is {shape[0]}x{shape[1]} MS pixels; "
            f"expected at least {LEAST_SIDE} a side"
        )


def _check_axes(name: str, ms: Tensor, pan: Tensor) -> None:
    got = f"got MS {tuple(ms.shape)}, PAN {tuple(pan.shape)}"
    if ms.ndim != 3 or pan.ndim != 3:
        raise SceneError(f"{name}: expected MS (C, h, w) and PAN (1, H, W); {got}")
    if ms.shape[2] <= _MANY_BANDS < min(ms.shape[:2]) or (pan.shape[2] == 1 < pan.shape[0]):
        raise SceneError(
            f"{name}: axes look like (H, W, C); expected MS (C, h, w) and PAN (1, H, W); {got}: "
            "move the last axis to the front"
        )
    if pan.shape[0] != 1:
        raise SceneError(f"{name}: PAN must have one band; {got}. Were PAN and MS exchanged?")
    (h, w), (H, W) = ms.shape[1:], pan.shape[1:]
    if h > H or w > W:
        raise SceneError(f"{name}: MS is larger than PAN; {got}. Were PAN and MS exchanged?")
    ratio = H // h if h else 0
    if not 2 <= ratio <= MAX_RATIO or (h * ratio, w * ratio) != (H, W):
        raise SceneError(
            f"{name}: PAN must have a whole number of pixels, 2 to {MAX_RATIO}, for each of MS's, "
            f"the same on both axes; {got}"
        )


def _check_range(scene: Scene) -> None:
    """A gt divided by its range beside an MS that is not (or the reverse) ruins every index."""
    if scene.gt is None:
        return
    top, below = float(scene.gt.max()), float(scene.ms.max())
    for small, large, which in ((top, below, "gt"), (below, top, "ms")):
        if 0 < small <= 1.5 and large > 16 * small:
            raise SceneError(
                f"{scene.name}: gt runs to {top:g} but ms to {below:g}: {which} was divided by its "
                "range, the other was not; give both in DN"
            )

"""Geometry: the scene in the photograph, moved objects, and displacement fields."""

from dataclasses import dataclass

import numpy as np

from simgen.errors import DegradationError

_LOBES = 3
_PHASES = 256  # of the interpolation's table: a 512th of a pixel at most off
_STRIP = 32  # rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Mover:
    """An ellipse of the scene that is elsewhere a moment later. Scene pixels."""

    centre: tuple[int, int]  # row, column
    half: tuple[float, float]  # half axes, down and along
    motion: tuple[int, int]

    @property
    def reach(self) -> tuple[int, int]:
        return int(np.ceil(self.half[0])), int(np.ceil(self.half[1]))


def mirror_extend(img_HWC: np.ndarray) -> np.ndarray:
    """Twice the size: the image and its mirror images, so that a small photograph fills a scene."""
    wide = np.concatenate([img_HWC, img_HWC[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def place(
    img_HWC: np.ndarray, corner: tuple[int, int], size: int, flip: tuple[bool, bool]
) -> np.ndarray:
    """The (size, size) scene at `corner` (row, column) of the extended image, flipped as drawn."""
    row, column = corner
    scene = mirror_extend(img_HWC)[row : row + size, column : column + size]
    vertical, horizontal = flip
    return scene[:: -1 if vertical else 1, :: -1 if horizontal else 1]


def move_objects(img_CHW: np.ndarray, movers: tuple[Mover, ...]) -> np.ndarray:
    """The scene when each object has moved: it covers what lay ahead and uncovers what lay behind.

    What it uncovers is not known: the ground on its other side stands in, at equal distance.
    All objects are cut from the scene as it was; their borders are a pixel soft.
    Shapes: (C, H, W) -> (C, H, W), a copy.
    Raises: DegradationError if an object or its motion leaves the scene.
    """
    moved = img_CHW.copy()
    for mover in movers:
        mask = _ellipse(mover)
        there = _box(img_CHW, mover, 0)
        behind, ahead = _box(img_CHW, mover, -1), _box(moved, mover, 1)
        here = _box(moved, mover, 0)
        here += mask * (behind - here)
        ahead += mask * (there - ahead)
    return moved


def _ellipse(mover: Mover) -> np.ndarray:
    down, along = (np.arange(-r, r + 1) / half
                   for r, half in zip(mover.reach, mover.half, strict=True))  # fmt: skip
    radius = np.sqrt(down[:, None] ** 2 + along[None] ** 2)
    edge = (1 - radius) * min(mover.half) + 0.5  # pixels inside the border
    return np.clip(edge, 0, 1).astype(np.float32)


def _box(img_CHW: np.ndarray, mover: Mover, times: int) -> np.ndarray:
    (down, along), (row, column) = mover.reach, mover.centre
    row, column = row + times * mover.motion[0], column + times * mover.motion[1]
    top, left = row - down, column - along
    if top < 0 or left < 0 or row + down >= img_CHW.shape[1] or column + along >= img_CHW.shape[2]:
        raise DegradationError(f"{mover} leaves a scene of {img_CHW.shape[1:]}")
    return img_CHW[:, top : row + down + 1, left : column + along + 1]


def warp(img_HW: np.ndarray, down_HW: np.ndarray, along_HW: np.ndarray) -> np.ndarray:
    """Each pixel from where the field points: rows first shift along, then columns down.

    out[y, x] = img[y + d, x + along[y + d, x]], d = down[y, x]; Lanczos of three lobes.
    Units:  pixels. Border: mirrored, edge pixel repeated.
    Source: two passes: Catmull and Smith 1980, SIGGRAPH 14(3):279-285.
    """
    shifted = _shift_along(img_HW, along_HW)
    return _shift_along(shifted.T, down_HW.T).T


def _shift_along(img_HW: np.ndarray, by_HW: np.ndarray) -> np.ndarray:
    H, W = img_HW.shape
    reach = int(np.ceil(np.abs(by_HW).max())) + _LOBES + 1
    padded = np.pad(img_HW, ((0, 0), (reach, reach)), mode="symmetric")
    steps = np.rint(by_HW * _PHASES).astype(np.intp)
    across = np.arange(reach - _LOBES + 1, reach - _LOBES + 1 + W)
    down = np.arange(H)[:, None] * padded.shape[1]
    flat, table = padded.ravel(), _lanczos_table()
    out = np.zeros(img_HW.shape, np.float32)
    weight, value = np.empty((2, _STRIP, W), np.float32)
    for top in range(0, H, _STRIP):  # what stays in the cache
        rows = slice(top, top + _STRIP)
        first, phase = (steps[rows] >> 8) + across + down[rows], steps[rows] & (_PHASES - 1)
        part, weight, value = out[rows], weight[: len(first)], value[: len(first)]
        for tap in range(2 * _LOBES):
            # clip: all indices are inside, and numpy then writes without a second buffer.
            table[tap].take(phase, out=weight, mode="clip")
            flat[tap:].take(first, out=value, mode="clip")
            np.multiply(weight, value, out=weight)
            part += weight
    return out


def _lanczos_table() -> np.ndarray:
    """(taps, phases): weights of the pixels -2..3 about a position `phase` past pixel 0."""
    t = np.arange(1 - _LOBES, _LOBES + 1)[:, None] - np.arange(_PHASES)[None] / _PHASES
    table = np.sinc(t) * np.sinc(t / _LOBES)
    return (table / table.sum(0)).astype(np.float32)

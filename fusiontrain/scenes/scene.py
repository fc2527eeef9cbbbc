"""What fusion asks of a scene, and a scene held in memory."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.tiles import Box

LEAST_SIDE = 8  # MS pixels; smaller scenes have no statistics


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Pixels of one window. Values where `valid` is False are a stand-in, not data."""

    ms: Tensor  # (C, h, w) float32 DN
    pan: Tensor  # (1, H, W) float32 DN
    valid: Tensor  # (H, W) bool


class Scene(Protocol):
    """Anything with aligned PAN and MS, read by windows."""

    @property
    def bands(self) -> int: ...

    @property
    def ratio(self) -> int:
        """PAN pixels per MS pixel."""

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the overlap in MS pixels."""

    def read(self, box: Box) -> Part:
        """The window `box`, in MS pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayScene:
    """A scene in memory. Shapes: ms (C, h, w), pan (1, ratio h, ratio w), DN."""

    ms: Tensor
    pan: Tensor
    ratio: int

    def __post_init__(self) -> None:
        _, h, w = self.ms.shape
        expected = (1, h * self.ratio, w * self.ratio)
        if tuple(self.pan.shape) != expected:
            raise SceneError(
                f"PAN must be {expected} for MS {tuple(self.ms.shape)} at ratio {self.ratio}; "
                f"got {tuple(self.pan.shape)}"
            )

    @property
    def bands(self) -> int:
        return self.ms.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        return self.ms.shape[1], self.ms.shape[2]

    def read(self, box: Box) -> Part:
        fine = box.scaled(self.ratio)
        pan = self.pan[:, fine.top : fine.bottom, fine.left : fine.right]
        return Part(
            ms=self.ms[:, box.top : box.bottom, box.left : box.right].float(),
            pan=pan.float(),
            valid=torch.ones(pan.shape[1:], dtype=torch.bool, device=pan.device),
        )


def check_side(shape: tuple[int, int]) -> None:
    """SceneError if a scene is too small to have statistics."""
    if min(shape) < LEAST_SIDE:
        raise SceneError(
            f"the overlap of PAN and MS is {shape[0]}x{shape[1]} MS pixels; "
            f"expected at least {LEAST_SIDE} a side"
        )

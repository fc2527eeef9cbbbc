"""Inputs of the full-resolution indices: fused, MS and PAN that fit, nodata filled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.metrics.input_checks import as_images, as_valid, refuse_empty, refuse_nan

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """Fused, MS and PAN of one ground as batches, float32 or float64."""

    fused: Tensor  # (N, C, H, W)
    ms: Tensor  # (N, C, h, w)
    pan: Tensor | None  # (N, 1, H, W)
    valid: Tensor | None  # (N, H, W)
    valid_ms: Tensor | None  # (N, h, w)
    single: bool

    def give(self, value: Tensor) -> Tensor:
        return value[0] if self.single else value


def as_views(
    fused: Tensor, ms: Tensor, pan: Tensor | None, ratio: int, valid: Tensor | None
) -> Views:
    """Raises: ShapeError, naming what is expected; MetricError as in input_checks.py."""
    *N, C, h, w = ms.shape if ms.ndim in (3, 4) else (0, 0, 0)
    expected = (*N, C, h * ratio, w * ratio)
    if tuple(fused.shape) != expected or not fused.numel():
        raise ShapeError(
            f"fused must be {expected} for MS {tuple(ms.shape)} at ratio {ratio}, both (C, H, W) "
            f"or (N, C, H, W); got {tuple(fused.shape)}"
        )
    if pan is not None:
        check_pan(pan, fused)
    valid = as_valid(valid, fused)
    valid_ms = None
    if valid is not None:
        valid_ms = ms_valid_mask(valid, ratio)
        refuse_empty(valid_ms.sum((-2, -1)), "MS pixel without nodata")
    return Views(
        fused=_filled(fused, valid, "fused"),
        ms=_filled(ms, valid_ms, "MS"),
        pan=None if pan is None else _filled(pan, valid, "PAN"),
        valid=valid,
        valid_ms=valid_ms,
        single=fused.ndim == 3,
    )


Kept = dict[str, Any]


def once(kept: Kept | None, name: str, make: Callable[[], T]) -> T:
    """What `make` gives, from `kept` if it is there, else put there."""
    if kept is None:
        return make()
    if name not in kept:
        kept[name] = make()
    value: T = kept[name]
    return value


def check_pan(pan: Tensor, fused: Tensor) -> None:
    expected = (*fused.shape[:-3], 1, *fused.shape[-2:])
    if tuple(pan.shape) != expected:
        raise ShapeError(f"PAN must be {expected}; got {tuple(pan.shape)}")


def _filled(image: Tensor, valid: Tensor | None, name: str) -> Tensor:
    """As a batch, each band's invalid pixels at the mean of its valid ones."""
    batch = as_images(image, valid)
    refuse_nan(batch, name)
    if valid is None:
        return batch
    count = valid.sum((-2, -1))[:, None]
    mean = batch.sum((-2, -1), dtype=torch.float64) / count
    return torch.where(valid[:, None], batch, mean[..., None, None].to(batch.dtype))

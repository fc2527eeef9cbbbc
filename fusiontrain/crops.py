"""Tiles to training crops and batches. Axes as in batch.py."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusiontrain.batch import PanBatch
from shards.schema import Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A tile, or a crop of one."""

    gt: np.ndarray  # (C, H, W) DN
    ms: np.ndarray
    pan: np.ndarray
    facts: Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingBatch:
    """Crops of one band count and ratio, with what they should become."""

    seen: PanBatch
    gt: Tensor  # (B, C, H, W) DN


def cut_crop(sample: Example, side: int, rng: np.random.Generator) -> Example:
    """A random crop on the MS grid, in one of the square's eight orientations, float32."""
    ratio = sample.facts.ratio
    n = side // ratio
    h, w = sample.ms.shape[1:]
    y, x = int(rng.integers(h - n + 1)), int(rng.integers(w - n + 1))
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def cut(image: np.ndarray, step: int) -> np.ndarray:
        part = image[:, y * step : (y + n) * step, x * step : (x + n) * step]
        part = np.rot90(part, turns, axes=(1, 2))
        return (part[:, ::-1] if mirrored else part).astype(np.float32)

    return Example(
        gt=cut(sample.gt, ratio),
        ms=cut(sample.ms, 1),
        pan=cut(sample.pan, ratio),
        facts=sample.facts,
    )


def collate(examples: Sequence[Example]) -> TrainingBatch:
    """Crops of one band count, ratio and size, as one batch."""

    def stack(arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))

    seen = PanBatch(
        ms=stack([e.ms for e in examples]),
        pan=stack([e.pan for e in examples]),
        ratio=examples[0].facts.ratio,
        mtf=torch.tensor([e.facts.mtf_ms for e in examples]),
        softness=torch.tensor([e.facts.softness for e in examples]),
    )
    return TrainingBatch(seen=seen, gt=stack([e.gt for e in examples]))

"""Samples to training crops and batches. Axes as in pan_batch.py.

A batch is packed as uint16 into one block of bytes, so that it crosses from a worker as one
piece and half its size, and becomes float where it is used.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusiontrain.imaging.pan_batch import PanBatch
from shards.schema import DTYPE, Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One element of a shard."""

    truth: np.ndarray  # (C, H, W) DN
    ms: np.ndarray
    pan: np.ndarray
    facts: Facts


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingBatch:
    """Crops of one band count and ratio, with the truth that the network should give."""

    inputs: PanBatch
    truth: Tensor  # (B, C, H, W) DN


@dataclass(frozen=True, kw_only=True, slots=True)
class CropTransforms:
    """Where the crops of a batch lie in their samples, MS pixels, and how they are turned; (B,)."""

    y: np.ndarray
    x: np.ndarray
    turns: np.ndarray  # quarter turns, anticlockwise
    mirrored: np.ndarray  # after that, top to bottom

    @classmethod
    def draw(
        cls, count: int, room: int, rng: np.random.Generator, *, turned: bool = True
    ) -> "CropTransforms":
        """`room`: how many MS pixels a crop may move each way in its sample."""
        y, x = rng.integers(room + 1, size=(2, count))
        turns, mirrored = rng.integers(4, size=count), rng.integers(2, size=count)
        still = np.zeros(count, np.int64)
        if not turned:
            turns = mirrored = still
        return cls(y=y, x=x, turns=turns, mirrored=mirrored)

    def of(self, part: slice) -> "CropTransforms":
        """A rank's part."""
        return CropTransforms(
            y=self.y[part], x=self.x[part], turns=self.turns[part], mirrored=self.mirrored[part]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchLayout:
    """How a batch lies in a block of bytes: two rows of gains as float32, then DN as uint16."""

    batch: int
    bands: int
    side: int  # PAN pixels
    ratio: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        B, C, S, s = self.batch, self.bands, self.side, self.side // self.ratio
        gains = {"mtf": (B, C), "softness": (B, C)}
        return gains | {"truth": (B, C, S, S), "ms": (B, C, s, s), "pan": (B, 1, S, S)}

    @property
    def nbytes(self) -> int:
        gains, pixels = self.batch * self.bands, self.batch * self.side**2
        return (
            8 * gains + 2 * pixels * (self.bands + 1) + 2 * gains * (self.side // self.ratio) ** 2
        )

    def parts(self, block: Tensor) -> dict[str, Tensor]:
        """Views of the block, (nbytes,) uint8."""
        parts, begin = {}, 0
        for name, shape in self.shapes.items():
            dtype = torch.float32 if name in ("mtf", "softness") else torch.uint16
            end = begin + int(np.prod(shape)) * dtype.itemsize
            parts[name] = block[begin:end].view(dtype).view(shape)
            begin = end
        return parts


def pack(
    samples: Iterable[Sample], crops: CropTransforms, layout: BatchLayout, block: Tensor
) -> None:
    """Copy the crops straight to where they lie in the batch; only the crops are read."""
    out = {name: part.numpy() for name, part in layout.parts(block).items()}
    ratio, side = layout.ratio, layout.side
    placed = zip(samples, crops.y.tolist(), crops.x.tolist(), strict=True)
    for i, (sample, y, x) in enumerate(placed):
        turns, mirrored = int(crops.turns[i]), bool(crops.mirrored[i])
        for name, image, step in (
            ("truth", sample.truth, ratio),
            ("ms", sample.ms, 1),
            ("pan", sample.pan, ratio),
        ):
            n = side // ratio * step
            part = image[:, y * step : y * step + n, x * step : x * step + n]
            _turn(part, turns, mirrored, out[name][i])
        out["mtf"][i], out["softness"][i] = sample.facts.mtf_ms, sample.facts.softness


def _turn(part: np.ndarray, turns: int, mirrored: bool, out: np.ndarray) -> None:
    """`part`, (C, n, n), in one of the square's eight orientations, into `out`."""
    if turns == 0:
        out[...] = part[:, ::-1] if mirrored else part
        return
    # numpy copies reversed or transposed rows four times slower than plain ones: copy the crop
    # plainly first, then let torch reverse it.
    crop = part.copy()
    if turns == 2:
        axes = (2,) if mirrored else (1, 2)
        out[...] = torch.flip(torch.from_numpy(crop.view(np.int16)), axes).numpy().view(DTYPE)
        return
    turned = np.rot90(crop, turns, axes=(1, 2))
    out[...] = turned[:, ::-1] if mirrored else turned


def unpack(layout: BatchLayout, block: Tensor, device: torch.device | None = None) -> TrainingBatch:
    """The batch as float32 on `device` (default: CPU). The block may be used again afterwards."""
    gains = layout.parts(block)  # they stay on the CPU, as PanBatch.to() has them
    if device is not None and device.type == "cuda":
        block = block.pin_memory().to(device, non_blocking=True)
    parts = layout.parts(block)
    pixels = {name: parts[name].to(torch.float32) for name in ("truth", "ms", "pan")}
    inputs = PanBatch(
        ms=pixels["ms"],
        pan=pixels["pan"],
        ratio=layout.ratio,
        mtf=gains["mtf"].clone(),
        softness=gains["softness"].clone(),
    )
    return TrainingBatch(inputs=inputs, truth=pixels["truth"])

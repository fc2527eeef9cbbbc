"""AnyBandBase: the base class of any-band networks, which correct an injected image.

Bands are a set with shared weights: (B, C) bands are B * C samples, each with its own images
and conditions, normalized by the scene's statistics (inputs.py). A network predicts a correction
of the blur-matched MTF-GLP-FS injection (imaging/injection.py) on a grid SHUFFLE times coarser
than the PAN's. Its last layer is initialized to zero: an untrained network is the injection.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.inputs import (
    ALTERNATIVES,
    CONDITIONS,
    IMAGES,
    AnyBandInputs,
    make_inputs,
)
from fusiontrain.models.layers.polyphase import SHUFFLE
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

CONDITION_WIDTH = 32
CACHED_PIXELS = 2**18  # PAN pixels of all bands processed at once on a CPU


class AnyBandBase(nn.Module):
    """forward(PanBatch) -> (B, C, H, W) DN, for any number of bands, size and ratio.

    A subclass creates its layers between `super().__init__` and `self.head = last_layer(width)`,
    and applies them in `body`. `trust` weighs the alternative injection models per band.
    """

    head: nn.Module
    bytes_per_pixel = 140  # peak of fusing on a CPU, a PAN pixel and band of a window

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(IMAGES * SHUFFLE**2, width, 1)
        self.trust = nn.Linear(CONDITION_WIDTH, ALTERNATIVES)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        self.condition = nn.Sequential(nn.Linear(CONDITIONS, CONDITION_WIDTH), nn.GELU())

    def forward(self, batch: PanBatch) -> Tensor:
        if batch.pan_per_band:
            alone = AnyBandBase.forward(self, batch.one_band_each())  # no subclass's step
            return alone.reshape(*batch.ms.shape[:2], *alone.shape[2:])
        inputs = make_inputs(batch)
        conditions = self.condition(inputs.conditions.to(inputs.images.up.dtype))
        trust = self.trust(conditions)
        features, starts = [], []
        for bands in _band_slices(inputs):
            part = inputs.select(bands)
            features.append(self.enter(self.stem_input(part)).permute(0, 2, 3, 1))
            # Layers may run in bfloat16; the image that they correct keeps full precision.
            with full_precision(trust.device):
                alternatives, start = part.alternatives.flatten(3), part.injected
                added = trust[:, bands, None].to(alternatives) @ alternatives
                starts.append(start + added.reshape(start.shape))
        B = len(inputs.pan)
        x = _concatenated([image.reshape(B, -1, *image.shape[1:]) for image in features])
        start = _concatenated(starts)
        x = self.correct(x.flatten(0, 1).permute(0, 3, 1, 2), conditions.flatten(0, 1), inputs)
        with full_precision(x.device):
            fused = inputs.image(start + x.reshape(start.shape))
            mean, std = (s[..., None, None] for s in (inputs.stats.ms_mean, inputs.stats.ms_std))
            return torch.addcmul(mean, fused, std)

    def forward_part(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """`forward(batch)[..., rows, columns]`, PAN pixels: the core of a window."""
        fused: Tensor = self(batch)
        return fused[..., rows, columns]

    def enter(self, images: Tensor) -> Tensor:
        """The stem: (B * C, IMAGES * P, h', w') -> (B * C, width, h', w').

        On the CPU a matrix product whose result is channels last.
        """
        if images.device.type != "cpu":
            return self.stem(images)
        weight = self.stem.weight.flatten(1).mT.expand(len(images), -1, -1)
        bias: Tensor = self.stem.bias  # type: ignore[assignment]
        x = torch.baddbmm(bias, images.flatten(2).mT, weight)
        return x.reshape(len(images), *images.shape[2:], -1).permute(0, 3, 1, 2)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """torch.compile of `correct` alone: the number of a blur's taps depends on its values."""
        # torch 2.13 fails on the layout of a replicate padding's gradient: images stay
        # channels first.
        options = {"layout_optimization": False} | kwargs.pop("options", {})
        compiled = torch.compile(self.correct, *args, options=options, **kwargs)

        def correct(x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
            return compiled(x.contiguous(), conditions, inputs)

        self.correct = correct  # type: ignore[method-assign]

    def stem_input(self, inputs: AnyBandInputs) -> Tensor:
        """The stem's input, (B * C, IMAGES * P, h', w')."""
        return inputs.stem_images.flatten(0, 1).flatten(1, 2)

    def correct(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        """Body and head: (B * C, width, h', w') -> (B * C, P, h', w'), the correction."""
        corrected: Tensor = self.head(F.gelu(self.body(x, conditions, inputs)))
        return corrected

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        """Features (B * C, width, h', w') and conditions (B * C, CONDITION_WIDTH) -> features."""
        raise NotImplementedError


def _band_slices(inputs: AnyBandInputs) -> Iterator[slice]:
    """All bands at once; without gradients on a CPU, as many as fit its cache."""
    bands, pixels = inputs.bands, inputs.pan.numel()
    count = bands
    if inputs.pan.device.type == "cpu" and not torch.is_grad_enabled():
        count = max(1, CACHED_PIXELS // pixels)
    for start in range(0, bands, count):
        yield slice(start, min(start + count, bands))


def _concatenated(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


class Film(nn.Module):
    """FiLM: a scale and a shift of each feature, predicted from the band's conditions.

    Source: Perez et al. 2018, AAAI 32(1):3942-3951.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.film = nn.Linear(CONDITION_WIDTH, 2 * width)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        scale, shift = self.film(conditions)[..., None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


def over_bands(x: Tensor, bands: int) -> Tensor:
    """Mean over the bands: (B * C, width, h', w') -> (B, width, h', w')."""
    last = x.permute(0, 2, 3, 1)  # contiguous if channels last
    return last.reshape(-1, bands, *last.shape[1:]).mean(1).permute(0, 3, 1, 2)


def to_bands(x: Tensor, bands: int) -> Tensor:
    """Copies for every band: (B, ...) -> (B * C, ...)."""
    return x.repeat_interleave(bands, 0)


def add_to_bands(x: Tensor, shared: Tensor, bands: int) -> Tensor:
    """X + to_bands(shared, bands), (B * C, width, h', w'), without the copies."""
    last = x.permute(0, 2, 3, 1)
    added = last.reshape(-1, bands, *last.shape[1:]) + shared.permute(0, 2, 3, 1)[:, None]
    return added.flatten(0, 1).permute(0, 3, 1, 2)


def last_layer(width: int) -> ReplicateConv2d:
    """A 3 x 3 convolution to SHUFFLE^2 channels, initialized to zero."""
    head = ReplicateConv2d(width, SHUFFLE**2)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head

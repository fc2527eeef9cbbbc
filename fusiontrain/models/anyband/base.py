"""What every any-band network shares: what it sees of a batch, and the injection it corrects.

Bands are a set with shared weights: (B, C) bands are B * C samples, each with its own images
and conditions. Everything is in the scene's own statistics. A network turns features on a
grid SHUFFLE times coarser than the PAN's into a correction of the blur-matched MTF-GLP-FS
injection, in spreads of each band; as built its last layer is zero, and so is the correction.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
IN_CACHE = 2**18  # pixels of a band


class AnyBandBase(nn.Module):
    """forward(PanBatch) -> (B, C, H, W) DN, of any bands, size and ratio.

    A member makes its layers between `super().__init__` and `self.head = last_layer(width)`,
    and says in `body` what they do.
    """

    head: nn.Module

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(IMAGES * SHUFFLE**2, width, 1)
        self.trust = nn.Linear(CONDITION_WIDTH, ALTERNATIVES)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        self.condition = nn.Sequential(nn.Linear(CONDITIONS, CONDITION_WIDTH), nn.GELU())

    def forward(self, batch: PanBatch) -> Tensor:
        inputs = make_inputs(batch)
        conditions = self.condition(inputs.conditions.to(inputs.images.up.dtype))
        trust = self.trust(conditions)
        entered, starts = [], []
        for bands in _turns(inputs):
            part = inputs.of(bands)
            entered.append(self.enter(self.stem_input(part)).permute(0, 2, 3, 1))
            # Layers may round to bf16; what they correct may not.
            with torch.autocast(trust.device.type, enabled=False):
                ways, start = part.alternatives.flatten(3), part.injected
                added = trust[:, bands, None].to(ways) @ ways
                starts.append(start + added.reshape(start.shape))
        B = len(inputs.pan)
        x = _together([image.reshape(B, -1, *image.shape[1:]) for image in entered])
        start = _together(starts)
        x = self.correct(x.flatten(0, 1).permute(0, 3, 1, 2), conditions.flatten(0, 1), inputs)
        with torch.autocast(x.device.type, enabled=False):
            fused = inputs.image(start + x.reshape(start.shape))
            mean, std = (s[..., None, None] for s in (inputs.stats.ms_mean, inputs.stats.ms_std))
            return torch.addcmul(mean, fused, std)

    def enter(self, seen: Tensor) -> Tensor:
        """(B * C, IMAGES * P, h', w') -> (B * C, width, h', w'), channels last on the CPU."""
        if seen.device.type != "cpu":
            return self.stem(seen)
        weight = self.stem.weight.flatten(1).mT.expand(len(seen), -1, -1)
        bias: Tensor = self.stem.bias  # type: ignore[assignment]
        x = torch.baddbmm(bias, seen.flatten(2).mT, weight)
        return x.reshape(len(seen), *seen.shape[2:], -1).permute(0, 3, 1, 2)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """torch.compile, of the layers alone: blurs have as many taps as their values ask for."""
        # torch 2.13 expects the gradient of a replicated border in a layout that it has not: so
        # images are laid out one way, channels first.
        options = {"layout_optimization": False} | kwargs.pop("options", {})
        compiled = torch.compile(self.correct, *args, options=options, **kwargs)

        def correct(x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
            return compiled(x.contiguous(), conditions, inputs)

        self.correct = correct  # type: ignore[method-assign]

    def stem_input(self, inputs: AnyBandInputs) -> Tensor:
        """The images that the stem is given, (B * C, IMAGES * P, h', w')."""
        return inputs.stem_images.flatten(0, 1).flatten(1, 2)

    def correct(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        """(B * C, width, H' / SHUFFLE, W' / SHUFFLE) -> the same with SHUFFLE^2 channels."""
        corrected: Tensor = self.head(F.gelu(self.body(x, conditions, inputs)))
        return corrected

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        """(B * C, width, H' / SHUFFLE, W' / SHUFFLE) features -> the same."""
        raise NotImplementedError


def _turns(inputs: AnyBandInputs) -> Iterator[slice]:
    """All bands at once; without gradients on the CPU as many as its cache holds."""
    bands, pixels = inputs.bands, inputs.pan.numel()
    most = bands
    if inputs.pan.device.type == "cpu" and not torch.is_grad_enabled():
        most = max(1, IN_CACHE // pixels)
    for start in range(0, bands, most):
        yield slice(start, min(start + most, bands))


def _together(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


class Film(nn.Module):
    """What a band's conditions make of its features: a scale and a shift each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.film = nn.Linear(CONDITION_WIDTH, 2 * width)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        scale, shift = self.film(conditions)[..., None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


def over_bands(x: Tensor, bands: int) -> Tensor:
    """(B * C, width, h', w') -> (B, width, h', w'): the mean of each sample's bands."""
    last = x.permute(0, 2, 3, 1)  # as it lies in memory, or else it is no slower
    return last.reshape(-1, bands, *last.shape[1:]).mean(1).permute(0, 3, 1, 2)


def to_bands(x: Tensor, bands: int) -> Tensor:
    """(B, ...) -> (B * C, ...): the same for every band."""
    return x.repeat_interleave(bands, 0)


def add_to_bands(x: Tensor, shared: Tensor, bands: int) -> Tensor:
    """Sum of x and to_bands(shared, bands), (B * C, width, h', w')."""
    last = x.permute(0, 2, 3, 1)
    added = last.reshape(-1, bands, *last.shape[1:]) + shared.permute(0, 2, 3, 1)[:, None]
    return added.flatten(0, 1).permute(0, 3, 1, 2)


def last_layer(width: int) -> ReplicateConv2d:
    """Zero as built: a network starts as the injection."""
    head = ReplicateConv2d(width, SHUFFLE**2)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head

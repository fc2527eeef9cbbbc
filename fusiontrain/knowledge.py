"""What is known of a scene's sensor: from a published row, or measured on the pair itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.scenes.scene import Scene
from fusiontrain.softness import MAX_SIDE, estimate_softness
from fusiontrain.tiles import Box
from shards.sensors import find_sensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Knowledge:
    """What a method is told of a scene, (C,) gains each."""

    mtf: Tensor
    softness: Tensor

    def __str__(self) -> str:
        gains = (f"{float(x.min()):.2f}..{float(x.max()):.2f}" for x in (self.mtf, self.softness))
        return "MTF {}, softness {}".format(*gains)


def learn(scene: Scene, *, sensor: str | None, softness: float | None) -> Knowledge:
    """Gains for fusing `scene` at its own resolution; None means measured on the scene.

    Without a sensor's row the MS's MTF is what the pair shows: its blur relative to PAN, less
    the part that the wanted softness leaves in. Raises: ContractError for an unknown sensor.
    """
    C, ratio = scene.bands, scene.ratio
    measured = measure_softness(scene)
    wanted = measured if softness is None else softness
    if sensor is None:
        # Gaussians in series: sigma_ms^2 = sigma_measured^2 - sigma_wanted^2.
        remaining = measured / wanted ** (1 / ratio**2)
        mtf = torch.full((C,), min(max(remaining, 0.05), 0.9))
    else:
        mtf = torch.tensor(find_sensor(sensor).gains(C))
    return Knowledge(mtf=mtf, softness=torch.full((C,), wanted))


def measure_softness(scene: Scene) -> float:
    """estimate_softness on the middle of the scene."""
    h, w = scene.shape
    top, left = max(0, (h - MAX_SIDE) // 2), max(0, (w - MAX_SIDE) // 2)
    box = Box(top=top, left=left, bottom=min(h, top + MAX_SIDE), right=min(w, left + MAX_SIDE))
    part = scene.read(box)
    return estimate_softness(part.ms, part.pan, scene.ratio)

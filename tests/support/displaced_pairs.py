"""Pairs whose PAN and MS are displaced by a known shift, of a ground that is known exactly."""

import numpy as np
import torch

from fusiontrain.imaging.filters import degrade
from fusiontrain.scenes.scene import Scene


def waves(side: int, rows: float = 0.0, columns: float = 0.0) -> torch.Tensor:
    """(side, side): a sum of waves longer than eight pixels, sampled at i + (rows, columns)."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:side, :side].astype(float)
    image = np.zeros((side, side))
    for _ in range(24):
        length, turn, phase = rng.uniform(9, 60), rng.uniform(0, np.pi), rng.uniform(0, 6)
        along = (y + rows) * np.sin(turn) + (x + columns) * np.cos(turn)
        image += np.cos(2 * np.pi * along / length + phase)
    return torch.from_numpy(900 + 80 * image).float()


def displaced_pair(rows: float = 0.0, columns: float = 0.0, side: int = 256) -> Scene:
    """Four bands of one ground, whose pixels lie on PAN at i + (rows, columns)."""
    gains = torch.tensor([0.6, 1.0, 1.2, 0.9])[:, None, None]
    bands = waves(side, rows, columns) * gains
    ms = degrade(bands[None], torch.full((1, 4), 0.3), 4)[0]
    return Scene(name="waves", ms=ms, pan=waves(side)[None])

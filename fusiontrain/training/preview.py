"""A picture of one fixed sample at intervals of training."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fusiontrain.evaluation.rendering import beside, colour_picture, error_picture, stretch_of
from fusiontrain.imaging.filters import upsample
from fusiontrain.training.validation import HeldSamples
from shards.atomic_write import whole_file

FOLDER = "pictures"


def draw_sample(net: nn.Module, held: HeldSamples, path: Path) -> np.ndarray:
    """MS, fused, truth and error of the first held sample, in a row: (H, W, 3) bytes, and a PNG.

    `net` takes and gives tensors of the CPU. All four in the truth's stretch; the error as in
    the report, in units of each band's spread.
    """
    batch = held.data[held.numbers[0]]
    with torch.no_grad():
        fused = net(batch.inputs)[0]
    truth = batch.truth[0]
    stretch = stretch_of(truth)
    up = upsample(batch.inputs.ms, batch.inputs.ratio)[0]
    whole = max(truth.shape[1:])
    row = beside(
        [
            *(colour_picture(image, stretch) for image in (up, fused, truth)),
            error_picture(truth, fused, most=whole),
        ]
    )
    buffer = io.BytesIO()
    row.save(buffer, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(buffer.getvalue())
    return np.asarray(row)

"""The default network on a CPU without gradients, strip by strip of rows.

The same numbers as AnyBand's layers one after the other, but for rounding. A strip's images and
features stay in the cache; whole are only the features of two layers and the fused image.
Features are channels last with a border of one cell, so that no layer copies them to pad them.
What is linear is one product: FiLM with the convolution after it, and the stem with the image
that the network corrects.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.input_rows import Cells, InputRows, make_input_rows
from fusiontrain.models.anyband.inputs import FIRST_ALTERNATIVE, IMAGES
from fusiontrain.models.layers.polyphase import SHUFFLE

if TYPE_CHECKING:
    from fusiontrain.models.anyband.default_network import AnyBand, Block

STRIP = 2**20  # bytes of a strip: of one image of all bands, or of one band's features
_POSITIONS = SHUFFLE**2


@dataclass(frozen=True, slots=True)
class Features:
    """(N, h' + 2, w' + 2, width): features of N = B * C bands with a border of one cell."""

    data: Tensor

    def around(self, n: int, rows: slice) -> Tensor:
        """(1, width, rows + 2, w' + 2), channels last: what a 3 x 3 convolution reads."""
        return self.data[n, rows.start : rows.stop + 2][None].permute(0, 3, 1, 2)

    def inner(self, n: int, rows: slice) -> Tensor:
        """(rows, w', width)."""
        return self.data[n, rows.start + 1 : rows.stop + 1, 1:-1]

    def close(self, rows: slice) -> None:
        """Replicate the border of these rows, and of those beyond the first and the last."""
        data = self.data[:, rows.start + 1 : rows.stop + 1]
        data[:, :, 0] = data[:, :, 1]
        data[:, :, -1] = data[:, :, -2]
        if rows.start == 0:
            self.data[:, 0] = self.data[:, 1]
        if rows.stop + 2 == self.data.shape[1]:
            self.data[:, -1] = self.data[:, -2]


def computes_by_rows(batch: PanBatch) -> bool:
    """Whether `fuse_by_rows` does what the layers would do."""
    return (
        batch.statistics is not None
        and not batch.pan_per_band
        and batch.pan.device.type == "cpu"
        and batch.pan.dtype == batch.ms.dtype == torch.float32
        and not torch.is_grad_enabled()
    )


def fuse_by_rows(net: "AnyBand", batch: PanBatch, cells: Cells) -> Tensor:
    """(B, C, H, W) DN of the pixels in `cells`, beyond which the layers see nothing.

    `batch` has statistics, and its images are float32 on the CPU.
    """
    device = batch.pan.device
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
    with full_precision(device):
        inputs = make_input_rows(batch)
        conditions = net.condition(inputs.conditions.float())
        B, C = conditions.shape[:2]
        x, start = _enter(net, inputs, conditions, cells)
        y = Features(torch.empty_like(x.data, dtype=dtype))
        width = x.data.shape[-1]
        here = Cells(slice(0, cells.height), slice(0, cells.width))
        strips = [strip.rows for strip in here.strips(_height(cells.width * width))]
        for block in net.blocks:
            _run_block(block, x, y, conditions.flatten(0, 1), C, strips)  # type: ignore[arg-type]
        out = torch.empty(B * C, cells.height * SHUFFLE, cells.width * SHUFFLE)
        _leave(net, x, start, inputs, out, strips)
    return out.reshape(B, C, *out.shape[1:])


def _height(numbers_a_row: int) -> int:
    """Rows of a strip."""
    return max(1, STRIP // (4 * numbers_a_row))


def _enter(
    net: "AnyBand", inputs: InputRows, conditions: Tensor, cells: Cells
) -> tuple[Features, Tensor]:
    """The stem's features, and the image that the network corrects: (N, h', w', P), units of std.

    That image is the injection and what the alternatives add, weighed by the band's trust.
    """
    weight = _stem_and_start(net, inputs, conditions)
    N, channels, out = weight.shape
    width = out - _POSITIONS
    bias = F.pad(_bias(net.stem), (0, _POSITIONS))
    h, w = cells.height, cells.width
    x = Features(torch.empty(N, h + 2, w + 2, width))
    start = torch.empty(N, h, w, _POSITIONS)
    for strip in cells.strips(_height(N * _POSITIONS * w)):
        images = torch.stack([*inputs.stem_images(strip)], 2).reshape(N, channels, -1)
        both = torch.baddbmm(bias, images.mT, weight).reshape(N, strip.height, w, out)
        rows = slice(strip.rows.start - cells.rows.start, strip.rows.stop - cells.rows.start)
        x.data[:, rows.start + 1 : rows.stop + 1, 1:-1] = both[..., :width]
        start[:, rows] = both[..., width:]
        x.close(rows)
    return x, start


def _stem_and_start(net: "AnyBand", inputs: InputRows, conditions: Tensor) -> Tensor:
    """(N, IMAGES * P, width + P): from the stem's images, of transposed positions, to both."""
    N = len(inputs.conditions.flatten(0, 1))
    stem = net.stem.weight.reshape(-1, IMAGES, SHUFFLE, SHUFFLE).transpose(2, 3).flatten(1)
    gain, trust = inputs.factors.gain.flatten(), net.trust(conditions).flatten(0, 1)
    shares = torch.zeros(N, IMAGES)
    shares[:, 0], shares[:, 1], shares[:, FIRST_ALTERNATIVE:] = 1, gain, trust
    cell = torch.eye(_POSITIONS).reshape(SHUFFLE, SHUFFLE, -1).transpose(0, 1).flatten(0, 1)
    start = (shares[:, :, None, None] * cell).flatten(1, 2)
    return torch.cat([stem.T.expand(N, -1, -1), start], 2)


def _run_block(
    block: "Block", x: Features, y: Features, conditions: Tensor, C: int, strips: list[slice]
) -> None:
    """`x` becomes the block's output; `y` is room for what lies between its convolutions."""
    dtype = y.data.dtype
    first, first_bias = block.first.weight.to(dtype), _bias(block.first).to(dtype)
    second, second_bias = (part.to(dtype) for part in _second_with_film(block, conditions))
    waiting: slice | None = None
    # The second convolution follows a strip behind: it reads a row beyond its strip. Thus the
    # first has read what the second changes.
    for rows in (*strips, None):
        if rows is not None:
            outs = [
                torch.ops.aten.gelu_(F.conv2d(x.around(n, rows).to(dtype), first, first_bias))
                for n in range(len(x.data))
            ]
            for sample in range(0, len(outs), C):
                shared = _shared(block, outs[sample : sample + C])
                for n in range(sample, sample + C):
                    torch.add(_last(outs[n]), shared, out=y.inner(n, rows))
            y.close(rows)
        if waiting is not None:
            for n in range(len(x.data)):
                added = F.conv2d(y.around(n, waiting), second[n], second_bias[n])
                x.inner(n, waiting).add_(_last(added))
            x.close(waiting)
        waiting = rows


def _shared(block: "Block", bands: list[Tensor]) -> Tensor:
    """(rows, w', width): what the mean of all bands adds to each."""
    total = _last(bands[0]).flatten(0, 1).clone()
    for band in bands[1:]:
        total.add_(_last(band).flatten(0, 1))
    weight = block.shared.weight[..., 0, 0].T / len(bands)
    shared = torch.addmm(_bias(block.shared).to(total), total, weight.to(total))
    return shared.reshape(*bands[0].shape[2:], -1)


def _second_with_film(block: "Block", conditions: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (N, width, width, 3, 3), biases (N, width): FiLM and the convolution after it."""
    scale, shift = block.film(conditions).chunk(2, dim=1)
    weight, bias = block.second.weight, _bias(block.second)
    return (
        weight * (1 + scale)[:, None, :, None, None],
        bias + shift @ weight.sum((2, 3)).T,
    )


def _leave(
    net: "AnyBand",
    x: Features,
    start: Tensor,
    inputs: InputRows,
    out: Tensor,
    strips: list[slice],
) -> None:
    """The fused image, (N, H, W) DN: the last layer corrects `start`."""
    weight, bias = net.head.weight, _bias(net.head)
    mean, std = (s.flatten() for s in (inputs.stats.ms_mean, inputs.stats.ms_std))
    for rows in strips:
        for n in range(len(out)):
            correction = F.conv2d(F.gelu(x.around(n, rows)), weight, bias)
            fused = _last(correction) + start[n, rows]
            fused = torch.addcmul(mean[n], fused, std[n])
            _shuffle(fused, out[n, rows.start * SHUFFLE : rows.stop * SHUFFLE])


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _last(features: Tensor) -> Tensor:
    """(1, width, rows, w'), channels last -> (rows, w', width)."""
    return features[0].permute(1, 2, 0)


def _shuffle(cells: Tensor, image: Tensor) -> None:
    """(rows, w', P) into (SHUFFLE * rows, SHUFFLE * w'), SHUFFLE pixels in a row at a time."""
    h, w = cells.shape[:2]
    pieces = cells.reshape(h, w, SHUFFLE, SHUFFLE).view(torch.complex128)  # 16 bytes a number
    rows = image.reshape(h, SHUFFLE, w, SHUFFLE).view(torch.complex128)
    rows.copy_(pieces.transpose(1, 2))

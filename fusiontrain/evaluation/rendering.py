"""Arrays to pictures for reports. The only Pillow import of fusiontrain."""

import io
from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from PIL import Image, WebPImagePlugin  # noqa: F401 - else PIL imports all of its formats
from torch import Tensor

from fusiontrain.evaluation.colormap import FULL_SCALE, colour_at
from fusiontrain.imaging.tiling import Box
from shards.sensors import SENSORS

GAMMA = 0.75  # a few roofs set the stretch: without it most ground is dark
MOST_CELLS = 192  # cells of an error map, a side
QUALITY = 80  # of WebP: no artefact shows at 1:1, at a tenth of the PNG's size
_PALETTE = np.array([colour_at(level / 255) for level in range(256)], np.uint8)


def colour_bands(num_bands: int) -> tuple[int, int, int]:
    """Indices of red, green and blue, from any sensor with that many bands."""
    for sensor in SENSORS.values():
        if len(sensor.bands) == num_bands and not sensor.ratios:
            red, green, blue = (sensor.bands.index(c) for c in ("red", "green", "blue"))
            return red, green, blue
    if num_bands == 7:  # Landsat's B1 to B7 begin with coastal
        return 3, 2, 1
    return (2, 1, 0) if num_bands >= 3 else (0, 0, 0)


def stretch_of(truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Per band, the 1st and 99th percentile: one stretch for all pictures of a case."""
    low, high = np.percentile(truth.numpy(), (1, 99), axis=(1, 2))
    return low, np.maximum(high, low + 1)


def colour_picture(image: Tensor, stretch: tuple[np.ndarray, np.ndarray]) -> Image.Image:
    return Image.fromarray((display_rgb(image, stretch) * 255).astype(np.uint8))


def display_rgb(image: Tensor, stretch: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(H, W, 3) in 0..1: red, green and blue as a screen gets them."""
    shown = list(colour_bands(image.shape[0]))
    low, high = (limit[shown] for limit in stretch)
    scaled = (image.numpy()[shown].transpose(1, 2, 0) - low) / (high - low)
    return np.clip(scaled, 0, 1) ** GAMMA


def error_picture(
    truth: Tensor, fused: Tensor, box: Box | None = None, *, most: int = MOST_CELLS
) -> Image.Image:
    """Mean over bands of |error| in units of each band's spread, in the colours of the ramp.

    Of the part in `box`, averaged over k x k pixels, k the least that leaves up to `most` a side,
    which takes a quarter of the bytes. Spreads are of the whole truth.
    """
    spread = truth.std((-2, -1), keepdim=True).clamp_min(1e-6)
    error = ((fused - truth).abs() / spread).mean(0)
    if box is not None:
        error = _cut(error, box)
    cell = -(-max(error.shape) // most)
    cells = F.avg_pool2d(error[None, None], cell, ceil_mode=True)[0, 0].numpy()
    levels = np.nan_to_num(cells / FULL_SCALE, nan=1.0).clip(0, 1) * 255
    return Image.fromarray(_PALETTE[levels.round().astype(np.uint8)])


def middle(shape: tuple[int, int], *, side: int, ratio: int) -> Box:
    """The middle of a scene of `shape` MS pixels, up to `side` PAN pixels a side, in MS pixels.

    One box for all pictures of a scene, so that they lie on each other: cut MS by it, and what
    is on the PAN's grid by its `scaled(ratio)`.
    """
    h, w = (min(length, max(1, side // ratio)) for length in shape)
    top, left = (shape[0] - h) // 2, (shape[1] - w) // 2
    return Box(top=top, left=left, bottom=top + h, right=left + w)


def colour_webp(
    image: Tensor, stretch: tuple[np.ndarray, np.ndarray], box: Box, *, quality: int = QUALITY
) -> bytes:
    """The part of `image` in `box` (its own pixels), as colours in a WebP."""
    return _webp(colour_picture(_cut(image, box), stretch), quality)


def error_webp(truth: Tensor, fused: Tensor, box: Box, *, quality: int = QUALITY) -> bytes:
    """The part of the error map in `box` as a WebP."""
    return _webp(error_picture(truth, fused, box), quality)


def _cut(image: Tensor, box: Box) -> Tensor:
    return image[..., box.top : box.bottom, box.left : box.right]


def _webp(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="WEBP", quality=quality, method=4)
    return file.getvalue()


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one height in a row."""
    row = Image.new("RGB", (sum(p.width for p in pictures), pictures[0].height))
    left = 0
    for picture in pictures:
        row.paste(picture, (left, 0))
        left += picture.width
    return row

"""Arrays to pictures for reports. The only Pillow import of fusiontrain."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from shards.commit import whole_file
from shards.sensors import SENSORS

LEAST_SIDE, MOST_SIDE = 384, 900  # pixels of a picture


def colour_bands(num_bands: int) -> tuple[int, int, int]:
    """Indices of red, green and blue, from any sensor with that many bands."""
    for sensor in SENSORS.values():
        if len(sensor.bands) == num_bands:
            red, green, blue = (sensor.bands.index(c) for c in ("red", "green", "blue"))
            return red, green, blue
    return (2, 1, 0) if num_bands >= 3 else (0, 0, 0)


def stretch_of(truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Per band, the 1st and 99th percentile: one stretch for all pictures of a case."""
    low, high = np.percentile(truth.numpy(), (1, 99), axis=(1, 2))
    return low, np.maximum(high, low + 1)


def colour_picture(image: Tensor, stretch: tuple[np.ndarray, np.ndarray]) -> Image.Image:
    shown = list(colour_bands(image.shape[0]))
    low, high = (limit[shown] for limit in stretch)
    scaled = (image.numpy()[shown].transpose(1, 2, 0) - low) / (high - low)
    return Image.fromarray((np.clip(scaled, 0, 1) * 255).astype(np.uint8))


def error_picture(truth: Tensor, fused: Tensor, full_scale: float) -> Image.Image:
    """Mean over bands of |error| in units of each band's spread: black 0, white `full_scale`."""
    spread = truth.std((-2, -1), keepdim=True).clamp_min(1e-6)
    error = ((fused - truth).abs() / spread).mean(0).numpy() / full_scale
    return Image.fromarray((np.clip(error, 0, 1) * 255).astype(np.uint8))


def save_picture(picture: Image.Image, path: Path) -> None:
    """PNG, enlarged without smoothing or cut to its middle so that it suits a page."""
    width, height = picture.size
    if max(width, height) > MOST_SIDE:
        w, h = min(width, MOST_SIDE), min(height, MOST_SIDE)
        left, top = (width - w) // 2, (height - h) // 2
        picture = picture.crop((left, top, left + w, top + h))
    factor = max(1, LEAST_SIDE // max(picture.size))
    size = (picture.width * factor, picture.height * factor)
    with whole_file(path) as file:
        picture.resize(size, Image.Resampling.NEAREST).save(file, format="PNG")

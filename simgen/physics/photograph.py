"""Colour jitter, high-pass filter and gamma of the photograph. RGB, encoded 0..1 (or uint8)."""

import numpy as np

from simgen.errors import DegradationError

# NTSC luma and chroma: the axes about which hue turns and saturation grows.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def jitter_matrix(
    *, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colour jitter as one affine map of RGB: (3, 3), (3,).

    Hue (degrees) and saturation turn and stretch the chroma of YIQ; then brightness scales and
    contrast spreads about mid-grey, which brightness moves too: as DALI's color_twist does.
    """
    angle = np.deg2rad(hue)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]]
    )
    chroma = np.linalg.inv(_YIQ) @ turn @ np.diag([1, saturation, saturation]) @ _YIQ
    offset = np.full(3, brightness * (0.5 - 0.5 * contrast))
    return (brightness * contrast * chroma).astype(np.float32), offset.astype(np.float32)


def colour_jitter(img_HW3: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Matrix @ RGB + offset, cut to 0..1: (H, W, 3) -> (H, W, 3) float32.

    Raises: DegradationError for other than three channels: colour has no meaning there.
    """
    if img_HW3.shape[-1] != 3:
        raise DegradationError(f"colour jitter needs RGB; got {img_HW3.shape[-1]} channels")
    return np.clip(img_HW3 @ matrix.T + offset, 0, 1).astype(np.float32)


def high_pass(img_HWC: np.ndarray, share: float) -> np.ndarray:
    """The image and `share` of its own high frequencies, cut to 0..1.

    High frequencies: what a 3x3 binomial mean takes away. Edge pixels repeat. (H, W, C) float32.
    """
    padded = np.pad(img_HWC, ((1, 1), (1, 1), (0, 0)), mode="edge")
    down = (padded[:-2] + padded[2:] + 2 * padded[1:-1]) / 4
    low = (down[:, :-2] + down[:, 2:] + 2 * down[:, 1:-1]) / 4
    return np.clip(img_HWC + share * (img_HWC - low), 0, 1).astype(np.float32)


def to_light(img: np.ndarray, gamma: float) -> np.ndarray:
    """Encoded values to intensities: a power law, which undoes that of a display (1.8 to 2.4)."""
    return np.power(img, np.float32(gamma), dtype=np.float32)

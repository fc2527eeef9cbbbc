"""Bands that the photograph does not have, and the PAN that sees them all."""

import numpy as np


def mix(img_CHW: np.ndarray, rows_DC: np.ndarray, offset_D: np.ndarray) -> np.ndarray:
    """Linear combinations of bands, kept non-negative: (C, H, W) -> (D, H, W) float32."""
    mixed = np.tensordot(rows_DC, img_CHW, axes=1) + offset_D[:, None, None]
    return np.maximum(mixed, 0).astype(np.float32)


def smooth_texture(seed_hw: np.ndarray, size: int) -> np.ndarray:
    """White noise on a coarse grid, interpolated linearly to (size, size): unit spread at nodes."""
    rows = _linear_weights(seed_hw.shape[0], size)
    columns = _linear_weights(seed_hw.shape[1], size)
    return (rows @ seed_hw @ columns.T).astype(np.float32)


def _linear_weights(nodes: int, size: int) -> np.ndarray:
    position = np.linspace(0, nodes - 1, size)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(nodes)[None]))

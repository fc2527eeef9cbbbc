"""Radiometry of one band, in shares of full scale."""

import numpy as np

_BLOCK = 8
_FLAT = 5.0  # per cent of the blocks that count as flat
_FLOOR = 1e-5  # full scale: under every detector's noise; a block without any has this


def skewness(img_hw: np.ndarray) -> float:
    """Third standardised moment; NaN where the band is flat."""
    centred = img_hw.astype(np.float64) - img_hw.mean(dtype=np.float64)
    spread = np.sqrt((centred**2).mean())
    return float((centred**3).mean() / spread**3) if spread > 0 else float("nan")


def flat_noise(img_hw: np.ndarray) -> float:
    """log10 of the noise's sigma in the flattest twentieth of blocks of 8x8 pixels.

    By the difference of two Laplacians, which edges and slopes leave nearly at rest.
    Source: Immerkaer 1996, Comput. Vis. Image Underst. 64(2):300-302, with squares for sizes.
    """
    img = img_hw.astype(np.float64)
    for _ in range(2):
        img = (img[:-2] - 2 * img[1:-1] + img[2:]).T
    h, w = (n // _BLOCK * _BLOCK for n in img.shape)
    squares = (img[:h, :w] / 6) ** 2
    blocks = squares.reshape(h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK).mean((1, 3))
    return float(np.log10(max(np.percentile(np.sqrt(blocks), _FLAT), _FLOOR)))

"""Quantisation to digital numbers, and lossy compression of them."""

import numpy as np

BLOCK = 8


def quantise(img: np.ndarray, bits: int) -> np.ndarray:
    """Digital numbers: 1.0 is 2**bits - 1; saturated, rounded to nearest, uint16."""
    top = 2**bits - 1
    numbers: np.ndarray = img * np.float32(top)
    np.clip(numbers, 0, top, out=numbers)
    return np.rint(numbers, out=numbers).astype(np.uint16)


def compressed(numbers_CHW: np.ndarray, step: float, bits: int) -> np.ndarray:
    """Digital numbers after JPEG's transform, quantisation and back: 8x8 cosines, one step for all.

    Units:  step in DN, at least 1; bits set the level shift and where DN saturate.
    Shapes: (C, H, W) uint16 -> the same; sides that 8 does not divide are extended by their edge.
    Source: ITU-T T.81 (1992), A.3; one step for every coefficient is what on-board coders aim at,
            since an analyst has no contrast sensitivity curve.
    """
    C, H, W = numbers_CHW.shape
    padding = ((0, 0), (0, -H % BLOCK), (0, -W % BLOCK))
    level = np.float32(2 ** (bits - 1))
    image = np.pad(numbers_CHW, padding, mode="edge").astype(np.float32) - level
    cosines = dct_matrix()
    # Both axes in turn, each as one product of a tall matrix by the 8x8 of cosines.
    blocks = image.reshape(C, image.shape[1] // BLOCK, BLOCK, -1, BLOCK)
    spectrum = cosines @ (blocks @ cosines.T).transpose(0, 1, 3, 2, 4)
    kept = np.rint(spectrum / np.float32(step)) * np.float32(step)
    back = (cosines.T @ kept @ cosines).transpose(0, 1, 3, 2, 4).reshape(image.shape)
    whole = np.rint(np.clip(back[:, :H, :W] + level, 0, 2**bits - 1))
    return whole.astype(np.uint16)


def dct_matrix() -> np.ndarray:
    """The orthonormal cosine transform of 8 numbers: (8, 8), rows are frequencies."""
    k, n = np.arange(BLOCK)[:, None], np.arange(BLOCK)[None]
    matrix = np.sqrt(2 / BLOCK) * np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK))
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)

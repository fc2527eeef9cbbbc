"""Spectral bands as rows over features of the photograph's light, and PAN as a mix of bands.

Every band is a row over *features* of the light: red, green, blue, and two that no linear
mix of them gives: how green exceeds the others (vegetation), how blue exceeds red (water).
"""

import numpy as np

from simgen.errors import DegradationError

NUM_FEATURES = 5  # red, green, blue, vegetation, water
MATERIALS = 6  # that a scene is made of, where bands are tinted by them
FLOOR = 0.02  # of full scale: under it, colour is the camera's noise

# Peak and spread (nm) of the sensitivities by which a camera saw the photograph.
_CAMERA = np.array([[610.0, 45.0], [545.0, 40.0], [460.0, 35.0]])
_RED_EDGE = (715.0, 12.0)  # where vegetation turns bright, and how abruptly, nm
_WATER_EDGE = (690.0, 40.0)


def features(light_CHW: np.ndarray) -> np.ndarray:
    """RGB light and its two indices: (3, H, W) -> (5, H, W) float32; other bands as they are.

    vegetation = max(G - (R + B) / 2, 0) / sqrt(G + R + .02), the excess green of Woebbecke et
    al. 1995, Trans. ASAE 38(1):259-269; water = max(B - R, 0) / sqrt(B + R + .02): half-way
    between a difference and a normalised one, so that shading stays in them.
    """
    if light_CHW.shape[0] != 3:
        return light_CHW
    red, green, blue = light_CHW
    vegetation = np.maximum(green - (red + blue) / 2, 0) / np.sqrt(green + red + np.float32(FLOOR))
    water = np.maximum(blue - red, 0) / np.sqrt(blue + red + np.float32(FLOOR))
    return np.stack([red, green, blue, vegetation, water]).astype(np.float32)


def mix(img_CHW: np.ndarray, rows_DC: np.ndarray, offset_D: np.ndarray) -> np.ndarray:
    """Linear combinations of bands, kept non-negative: (C, H, W) -> (D, H, W) float32."""
    mixed = np.tensordot(rows_DC, img_CHW, axes=1) + offset_D[:, None, None]
    return np.maximum(mixed, 0).astype(np.float32)


def reflectances(light_CHW: np.ndarray, logits_K4: np.ndarray, tints_DK: np.ndarray) -> np.ndarray:
    """What the materials of a scene reflect in each band, over what RGB shows: (D, H, W) float32.

    Soft classes of colour: a pixel is of material k by the softmax of logits, linear in the
    square roots of its RGB light; a band sees the mean of the materials' tints. Bands that no
    linear mix of RGB gives, with the photograph's own edges: as soil, roofs and leaves of one
    colour to the eye differ in the infrared, and change sides in brightness from band to band.
    Shapes: (3, H, W) light, (K, 4) rows over root R, G, B and one, (D, K) positive tints.
    """
    root = np.sqrt(np.maximum(light_CHW[:3], 0))
    logits = np.tensordot(logits_K4[:, :3], root, axes=1) + logits_K4[:, 3, None, None]
    share = np.exp(logits - logits.max(0))
    share /= share.sum(0)
    return np.tensordot(tints_DK, share, axes=1).astype(np.float32)


def nir_row(rgb: np.ndarray, vegetation: float, water: float) -> np.ndarray:
    """A NIR-like band: some of RGB, bright on vegetation, dark on water; (5,).

    Green leaves reflect about five times as much in the NIR as in the green, water nearly none:
    Knipling 1970, Remote Sens. Environ. 1(3):155-159.
    """
    return np.array([*rgb, vegetation, -water])


def response_rows(
    centres_C: np.ndarray, widths_C: np.ndarray, vegetation: float, water: float
) -> np.ndarray:
    """Bands of Gaussian response on one wavelength axis, as rows over the features: (C, 5).

    The spectrum behind a pixel is taken as smooth: at each wavelength R, G and B weigh as three
    Gaussians there, normalised to sum 1, so that grey stays grey in every band; beyond red it
    stays red's, plus `vegetation` and less `water` once past their edges.
    Units:  nm; widths are full widths at half maximum.
    Raises: DegradationError unless there is one width a centre.
    """
    if centres_C.shape != widths_C.shape:
        raise DegradationError(f"one width a centre; got {centres_C.shape}, {widths_C.shape}")
    wavelength = np.arange(380.0, 1060.0, 2.0)
    spread = widths_C[:, None] / 2.3548
    seen = np.exp(-0.5 * ((wavelength - centres_C[:, None]) / spread) ** 2)
    seen /= seen.sum(1, keepdims=True)
    inside = np.clip(wavelength, _CAMERA[2, 0], _CAMERA[0, 0])
    primary = np.exp(-0.5 * ((inside[:, None] - _CAMERA[:, 0]) / _CAMERA[:, 1]) ** 2)
    primary /= primary.sum(1, keepdims=True)
    beyond = [
        size / (1 + np.exp(-(wavelength - edge) / abruptness))
        for size, (edge, abruptness) in ((vegetation, _RED_EDGE), (-water, _WATER_EDGE))
    ]
    basis: np.ndarray = np.column_stack([primary, *beyond])
    return seen @ basis


def haze(
    rows_DC: np.ndarray, offset_D: np.ndarray, loss_D: np.ndarray, airlight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bands seen through haze: light * (1 - loss) + airlight * loss, folded into rows, offset.

    Source: Koschmieder's law as in He et al. 2009, CVPR, 1956-1963.
    """
    return rows_DC * (1 - loss_D)[:, None], offset_D * (1 - loss_D) + airlight * loss_D


def haze_loss(strength: float, wavelength_D: np.ndarray) -> np.ndarray:
    """Loss of contrast by wavelength (nm): `strength` at 450 nm, falling with its power -2.

    Between the powers -4 of molecules and -.7 of very hazy air: Chavez 1988, Remote Sens.
    Environ. 24(3):459-479.
    """
    return np.minimum(strength * (np.maximum(wavelength_D, 400.0) / 450.0) ** -2.0, 0.95)


def smooth_texture(seed_hw: np.ndarray, size: int) -> np.ndarray:
    """White noise on a coarse grid, interpolated linearly to (size, size): unit spread at nodes."""
    rows = _linear_weights(seed_hw.shape[0], size)
    columns = _linear_weights(seed_hw.shape[1], size)
    return rows @ seed_hw.astype(np.float32) @ columns.T


def _linear_weights(nodes: int, size: int) -> np.ndarray:
    position = np.linspace(0, nodes - 1, size, dtype=np.float32)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(nodes, dtype=np.float32)[None]))

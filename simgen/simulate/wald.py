"""Wald's protocol: a real pair one level down, where its own MS is the truth."""

import numpy as np

from shards.schema import Facts
from simgen.errors import SourceError
from simgen.physics.kernels import resampling_taps
from simgen.physics.mtf import mtf_taps, observe, response, tap_count
from simgen.simulate.job import Arrays
from simgen.sources import Photo
from simgen.sources.scene import SceneWindow


def reduce_pair(
    ms_CHW: np.ndarray, pan_1HW: np.ndarray, gains_C: tuple[float, ...], *, ratio: int
) -> tuple[np.ndarray, np.ndarray]:
    """(ms, pan) as the sensor would see them from `ratio` times as far.

    MS: a Gaussian per band at its MTF gain, decimated. PAN: antialiased bicubic, as the
    benchmark reduces it.
    Shapes: (C, h, w), (1, h * ratio, w * ratio) -> (C, h/ratio, w/ratio), (1, h, w) float32.
    Raises: DegradationError if sizes or gains do not fit.
    Source: Wald, Ranchin and Mangolini 1997, PE&RS 63(6):691-699.
    """
    low = observe(ms_CHW, _taps(gains_C, ratio), step=ratio)
    less = observe(pan_1HW, resampling_taps(ratio, "bicubic")[None], step=ratio)
    return low, less


def wald_sample(photo: Photo, *, source: str, recipe: str, seed: int) -> tuple[Arrays, Facts]:
    """A scene's window as gt, ms and pan, uint16, and its facts.

    `softness` is the sensor's published MTF: what its maker says, not what this scene has.
    Raises: SourceError if nodata lies in the window, or within the blur's reach of it.
    """
    window = photo.place
    if not isinstance(window, SceneWindow):
        raise SourceError(f"{photo.key} is no window of a scene")
    scene, ratio = window.scene, window.scene.ratio
    taps = _taps(scene.mtf_ms, ratio)
    halo = -(-taps.shape[1] // (2 * ratio)) * ratio  # whole coarse pixels keep the phase
    ms, pan, row, column = window.numbers(halo=halo)
    if np.isnan(ms).any() or np.isnan(pan).any():
        raise SourceError("nodata in the tile or beside it")  # manifests keep this text
    h, w = (side // ratio * ratio for side in ms.shape[1:])
    ms, pan = ms[:, :h, :w], pan[:, : h * ratio, : w * ratio]
    low, less = reduce_pair(ms, pan, scene.mtf_ms, ratio=ratio)
    own = np.s_[:, row : row + window.size, column : column + window.size]
    coarse = np.s_[
        :,
        row // ratio : (row + window.size) // ratio,
        column // ratio : (column + window.size) // ratio,
    ]
    top = 2**scene.bits - 1
    if max(ms.max(), pan.max()) > top:
        raise SourceError(f"digital numbers above {top}, though {scene.bits} bits are stated")
    gt, low, less = (_numbers(image, top) for image in (ms[own], low[coarse], less[own]))
    facts = Facts(
        sensor=scene.sensor,
        bits=scene.bits,
        ratio=ratio,
        mtf_ms=tuple(round(response(t, ratio), 6) for t in taps),
        mtf_pan=round(response(resampling_taps(ratio, "bicubic"), ratio), 6),
        softness=scene.mtf_ms,
        source=source,
        recipe=recipe,
        seed=seed,
    )
    return (gt, low, less), facts


def _taps(gains_C: tuple[float, ...], ratio: int) -> np.ndarray:
    count = tap_count(min(gains_C), ratio)
    return np.stack([mtf_taps(gain, ratio, count) for gain in gains_C])


def _numbers(image: np.ndarray, top: int) -> np.ndarray:
    return np.rint(np.clip(image, 0, top)).astype(np.uint16)

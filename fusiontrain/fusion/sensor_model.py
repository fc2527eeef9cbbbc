"""What is known of a scene's sensor: from a published row, or measured on the pair itself."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.blur_estimation import MAX_SIDE, estimate_band_softness, estimate_softness
from fusiontrain.imaging.filters import gain_to_sigma
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.shift_estimation import NO_SHIFT, Shift, estimate_shift, shift_image
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import LEAST_SIDE, NOTHING, Window, WindowedScene
from shards.sensors import GENERIC, NOMINAL_MS, Sensor

_ENOUGH = 0.9  # of a window's pixels: look no further


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorModel:
    """What a method is told of a scene, (C,) gains each."""

    mtf: Tensor
    softness: Tensor
    sensor: Sensor = GENERIC  # for what only classical methods ask: PAN's own gain
    shift: Shift = (
        NO_SHIFT  # where on PAN the MS's pixels lie, PAN pixels: networks see PAN moved by it
    )
    of_ms: float | None = None  # softness that the MS itself was measured to have

    def __str__(self) -> str:
        gains = (f"{float(x.min()):.2f}..{float(x.max()):.2f}" for x in (self.mtf, self.softness))
        said = "MTF {}, softness {}".format(*gains)
        if self.shift == NO_SHIFT:
            return said
        return "{}, PAN registered by {:+.2f}, {:+.2f} pixels".format(said, *self.shift)


@dataclass(frozen=True, kw_only=True, slots=True)
class PairMeasurement:
    """What the pair itself tells."""

    softness: float
    shift: Shift
    bands: Tensor | None = None  # (C,) softness of each, where it was asked for


BANDS: Literal["bands"] = "bands"  # softness: one number a band


def estimate_sensor_model(
    scene: WindowedScene,
    *,
    sensor: Sensor | None,
    softness: float | Literal["bands"] | None,
    register: bool = True,
    blind: bool = False,
    pair: PairMeasurement | None = None,
) -> SensorModel:
    """Gains for fusing `scene` at its own resolution; None means measured on the scene.

    A measured softness is wanted no softer than a nominal sensor's: the blur of an MS that is far
    softer than its PAN is no aim, and looks it (docs/guides/fuse.md).

    Without a sensor's row the MS's MTF is what the pair shows: its blur relative to PAN, less the
    part that the wanted softness leaves in. The shift between the two is left out unless
    `register`; where all else is told, or the method is `blind` to it, nothing is measured then.
    `pair`: blur and shift where they were estimated on `scene` before.
    """
    C, ratio = scene.bands, scene.ratio
    told = sensor is not None and isinstance(softness, float)
    unknown = found = PairMeasurement(softness=NOMINAL_MS, shift=NO_SHIFT)
    try:
        if register or not (told or blind):
            found = pair or measure_pair(scene, bands=softness == BANDS)
    except SceneError:
        if not told:
            raise
    one = torch.ones(C, dtype=torch.float64)
    measured = one * found.softness if found.bands is None else found.bands
    wanted = measured.clamp_min(NOMINAL_MS)
    if isinstance(softness, float):
        wanted = one * softness
    if sensor is None:
        # Gaussians in series: sigma_ms^2 = sigma_measured^2 - sigma_wanted^2.
        remaining = measured / wanted ** (1 / ratio**2)
        mtf = remaining.clamp(0.05, 0.9).float()
    else:
        mtf = torch.tensor(sensor.gains(C))
    return SensorModel(
        mtf=mtf,
        softness=wanted.float(),
        sensor=sensor or GENERIC,
        shift=found.shift if register else NO_SHIFT,
        of_ms=None if found is unknown else found.softness,
    )


def measure_pair(scene: WindowedScene, *, bands: bool = False) -> PairMeasurement:
    """Blur and shift of one window, the fullest of nine, the middle one first; `bands`: each one's.

    The blur is measured on the registered pair: a shift looks like blur.
    Raises: SceneError if no window has data enough to tell.
    """
    best = fullest_window(scene)
    valid = ms_valid_mask(best.valid, scene.ratio)
    if int(valid.sum()) < max(LEAST_SIDE**2, 4 * scene.bands):
        raise SceneError(
            f"only {int(valid.sum())} MS pixels have data; too few to measure the blur: "
            "give --sensor and --softness, or a fuller scene"
        )
    pair = (scene.ratio, valid, scene.phase)
    # Any blur will do to find the shift well enough for the blur; the blur then sharpens it.
    shift = find_shift(best.ms, best.pan, NOMINAL_MS, *pair)
    softness = estimate_softness(best.ms, shift_image(best.pan, shift), *pair)
    shift = find_shift(best.ms, best.pan, softness, *pair)
    each = None
    if bands:
        each = estimate_band_softness(best.ms, shift_image(best.pan, shift), *pair)
    return PairMeasurement(softness=softness, shift=shift, bands=each)


def fullest_window(scene: WindowedScene) -> Window:
    """Of nine windows of MAX_SIDE MS pixels at most, the middle one first.

    Raises: SceneError if none has any data.
    """
    best: Window | None = None
    share = 0.0
    for box in _windows(*scene.shape):
        part = scene.read(box)
        if (found := float(part.valid.float().mean())) > share:
            best, share = part, found
        if share > _ENOUGH:
            break
    if best is None:
        raise SceneError(NOTHING)
    return best


def find_shift(
    ms: Tensor,
    pan: Tensor,
    gain: float,
    ratio: int,
    valid: Tensor | None,
    phase: GridPhase,
) -> Shift:
    """estimate_shift of a pair whose blur has this gain at the MS's Nyquist."""
    sigma = float(gain_to_sigma(torch.tensor(gain), ratio))
    return estimate_shift(ms, pan, ratio, sigma, valid, phase)


def measure_softness(scene: WindowedScene) -> float:
    """Of measure_pair."""
    return measure_pair(scene).softness


def _windows(h: int, w: int) -> list[Box]:
    rows = [(h - MAX_SIDE) // 2, 0, h - MAX_SIDE] if h > MAX_SIDE else [0]
    columns = [(w - MAX_SIDE) // 2, 0, w - MAX_SIDE] if w > MAX_SIDE else [0]
    return [
        Box(top=y, left=x, bottom=min(h, y + MAX_SIDE), right=min(w, x + MAX_SIDE))
        for y in rows
        for x in columns
    ]

"""Sensor model of one scene: MTF, softness and shift, given or estimated on the pair itself."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.fusion.local_shift import estimate_local_shift
from fusiontrain.fusion.moved_scene import pan_moved
from fusiontrain.fusion.option_limits import BANDS
from fusiontrain.imaging.band_shifts import estimate_band_shifts
from fusiontrain.imaging.blur_estimation import MAX_SIDE, estimate_band_softness, estimate_softness
from fusiontrain.imaging.field_fit import FittedField
from fusiontrain.imaging.filters import gain_to_sigma
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.shift_estimation import NO_SHIFT, Shift, estimate_shift, shift_image
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import LEAST_SIDE, NO_DATA, Window, WindowedScene
from shards.sensors import GENERIC, NOMINAL_MS, Sensor

Frame = Literal["pan", "ms"]
CRISP = 0.9  # softness of the target `scene`, where none is given
_COARSE_SIDE = 192  # MS pixels of the middle on which the estimates of a large window start
MTF_LIMITS = (0.05, 0.97)  # of an estimated gain
# Where a softness is asked for, detail that the MS passes with less than this gain is more noise
# than ground: to restore it in full speckles softly resampled MS (GaoFen-2, SPOT-6) with colour.
LEAST_RESTORED = 0.12
_FULL_ENOUGH = 0.9  # part of a window's pixels that have data: no other window is tried


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorModel:
    """Per-band sensor model that every fusion method is given."""

    mtf: Tensor  # (C,) gain at the MS's Nyquist
    softness: Tensor  # (C,) gain of the fused image at the PAN's Nyquist
    sensor: Sensor = GENERIC  # its other figures, as PAN's own gain, are for classical methods
    shift: Shift = NO_SHIFT  # where on PAN the MS's pixels lie, PAN pixels
    band_shifts: Tensor | None = None  # (C, 2): where each band's lie beside `shift`
    local_shift: FittedField | None = None  # where all lie, place by place, in place of `shift`
    frame: Frame = "ms"  # where the result lies: PAN is moved to the MS, or the MS to PAN
    ms_softness: float | None = None  # softness of the MS itself, where it was estimated

    def __str__(self) -> str:
        text = f"MTF {gain_range(self.mtf)}, softness {gain_range(self.softness)}"
        if self.local_shift is not None:
            moved = "MS" if self.frame == "pan" else "PAN"
            return f"{text}, {moved} registered place by place"
        if self.shift == NO_SHIFT:
            return text
        rows, columns = self.displacement
        if self.frame == "pan":
            return f"{text}, MS registered by {-rows:+.2f}, {-columns:+.2f} PAN pixels"
        return f"{text}, PAN registered by {rows:+.2f}, {columns:+.2f} pixels"

    @property
    def displacement(self) -> Shift:
        """Rows down and columns right by which the MS lies off the PAN, PAN pixels.

        `shift` is where PAN shows what an MS pixel shows: the opposite.
        """
        return _opposite(self.shift)

    @property
    def band_displacements(self) -> list[Shift] | None:
        """The same of each band, beside that of all; None where bands lie in one place."""
        if self.band_shifts is None:
            return None
        return [_opposite((rows, columns)) for rows, columns in self.band_shifts.tolist()]


def gain_range(gains: Tensor) -> str:
    """Of all bands: 0.28..0.33, or 0.33 where they agree in two decimals."""
    least, most = f"{float(gains.min()):.2f}", f"{float(gains.max()):.2f}"
    return least if least == most else f"{least}..{most}"


def _opposite(shift: Shift) -> Shift:
    return (0.0 - shift[0], 0.0 - shift[1])  # of 0 is 0, not -0


@dataclass(frozen=True, kw_only=True, slots=True)
class PairEstimate:
    """Blur and shift between MS and PAN, estimated on the pair."""

    softness: float
    shift: Shift
    band_softness: Tensor | None = None  # (C,), where it was asked for
    band_shifts: Tensor | None = None  # (C, 2), where it was asked for
    local_shift: FittedField | None = None  # where it was asked for, and the shift varies


def estimate_sensor_model(
    scene: WindowedScene,
    *,
    sensor: Sensor | None,
    softness: float | Literal["bands"] | None,
    register: bool = True,
    blind: bool = False,
    band_shifts: bool = False,
    local_shift: bool = False,
    pair: PairEstimate | None = None,
) -> SensorModel:
    """Sensor model for fusing `scene` at its own resolution; None: estimated on the scene.

    An estimated softness is at least a nominal sensor's (docs/guides/fuse.md); an estimated MTF at
    least LEAST_RESTORED, if a softness is given. Without a `sensor` the MTF is the MS's blur
    relative to PAN, less the part that the softness leaves in. `band_shifts`: each band's own
    shift too; `local_shift`: how the shift varies over the scene. Without `register` shifts are
    left out, and nothing is estimated if both sensor and softness are given, or the method is
    `blind` to them.
    `pair`: blur and shift where they were estimated on `scene` before.
    Raises: SceneError if the pair has too little data for what must be estimated.
    """
    C, ratio = scene.bands, scene.ratio
    given = None if softness is None or softness == BANDS else float(softness)
    complete = sensor is not None and given is not None
    estimate: PairEstimate | None = None
    try:
        if register or not (complete or blind):
            estimate = pair or estimate_pair(
                scene,
                bands=softness == BANDS,
                band_shifts=band_shifts and register,
                local_shift=local_shift and register,
            )
    except SceneError:
        if not complete:
            raise
    ones = torch.ones(C, dtype=torch.float64)
    ms_softness = ones * (NOMINAL_MS if estimate is None else estimate.softness)
    if estimate is not None and softness == BANDS:  # a `pair` may have more than is asked for
        ms_softness = softness_of_bands(estimate, ones)
    target = ms_softness.clamp_min(NOMINAL_MS) if given is None else ones * given
    if sensor is None:
        # Gaussians in series: sigma_ms^2 = sigma_estimated^2 - sigma_target^2.
        remaining = ms_softness / target ** (1 / ratio**2)
        least = MTF_LIMITS[0] if given is None else LEAST_RESTORED
        mtf = remaining.clamp(least, MTF_LIMITS[1]).float()
    else:
        mtf = torch.tensor(sensor.gains(C))
    registered = estimate if register else None
    return SensorModel(
        mtf=mtf,
        softness=target.float(),
        sensor=sensor or GENERIC,
        shift=NO_SHIFT if registered is None else registered.shift,
        band_shifts=None if registered is None or not band_shifts else registered.band_shifts,
        local_shift=None if registered is None or not local_shift else registered.local_shift,
        ms_softness=None if estimate is None else estimate.softness,
    )


def softness_of_bands(estimate: PairEstimate, ones: Tensor) -> Tensor:
    """(C,): each band's own where it was estimated, else the MS's. `ones`: (C,)."""
    per_band = estimate.band_softness
    return ones * estimate.softness if per_band is None else per_band


def estimate_pair(
    scene: WindowedScene,
    *,
    bands: bool = False,
    band_shifts: bool = False,
    local_shift: bool = False,
) -> PairEstimate:
    """Blur and shift of the fullest of nine windows.

    `bands`: the blur of each band too; `band_shifts`: the shift of each band too; `local_shift`:
    how the shift varies over the scene, if it does.
    The blur is estimated on the registered pair: a shift looks like blur.
    Raises: SceneError if no window has enough data.
    """
    window, grids = _window_with_data(scene)
    shift, softness = _estimate_shift_and_softness(window.ms, window.pan, grids)
    local, rest = None, shift
    if local_shift:
        sigma = float(gain_to_sigma(torch.tensor(softness), scene.ratio))
        local = estimate_local_shift(scene, sigma=sigma, shift=shift)
    if local is not None:
        # Once more, without what the field explains: a shift looks like blur.
        window, grids = _window_with_data(pan_moved(scene, local.field))
        rest, softness = _estimate_shift_and_softness(window.ms, window.pan, grids)
        local = replace(local, field=local.field.moved_by(rest))
    per_band = None
    if bands:
        pan = shift_image(window.pan, rest)
        per_band = estimate_band_softness(window.ms, pan, *grids, softness=softness)
    own: Tensor | None = None
    if band_shifts:
        sigma = float(gain_to_sigma(torch.tensor(softness), scene.ratio))
        ratio, valid, phase = grids
        own = estimate_band_shifts(window.ms, window.pan, ratio, sigma, rest, valid, phase)
        own = own if bool(own.any()) else None
    return PairEstimate(
        softness=softness,
        shift=shift,
        band_softness=per_band,
        band_shifts=own,
        local_shift=local,
    )


def _window_with_data(scene: WindowedScene) -> tuple[Window, tuple[int, Tensor, GridPhase]]:
    """The fullest window, and its ratio, valid MS pixels and phase. Raises: as estimate_pair."""
    window = fullest_window(scene)
    valid = ms_valid_mask(window.valid, scene.ratio)
    if int(valid.sum()) < max(LEAST_SIDE**2, 4 * scene.bands):
        raise SceneError(
            f"only {int(valid.sum())} MS pixels have data; too few to measure the blur: "
            "give `sensor` and `softness`, or a fuller scene"
        )
    return window, (scene.ratio, valid, scene.phase)


def _estimate_shift_and_softness(
    ms: Tensor, pan: Tensor, grids: tuple[int, Tensor, GridPhase]
) -> tuple[Shift, float]:
    """Shift and softness of a window; of a large one first on its middle, then near those."""
    ratio, valid, phase = grids
    top, left = ((side - _COARSE_SIDE) // 2 for side in valid.shape)
    rows, columns = (slice(start, start + _COARSE_SIDE) for start in (top, left))
    large = min(valid.shape) >= 2 * _COARSE_SIDE
    if not large or float(valid[rows, columns].float().mean()) < _FULL_ENOUGH:
        # Any blur will do to find the shift well enough for the blur; the blur then sharpens it.
        shift = estimate_pair_shift(ms, pan, NOMINAL_MS, *grids)
        softness = estimate_softness(ms, shift_image(pan, shift), *grids)
        return estimate_pair_shift(ms, pan, softness, *grids), softness
    fine_rows, fine_columns = (slice(s.start * ratio, s.stop * ratio) for s in (rows, columns))
    near, rough = _estimate_shift_and_softness(
        ms[:, rows, columns],
        pan[:, fine_rows, fine_columns],
        (ratio, valid[rows, columns], phase),
    )
    shift = estimate_pair_shift(ms, pan, rough, *grids, near=near)
    return shift, estimate_softness(ms, shift_image(pan, shift), *grids, near=rough)


def fullest_window(scene: WindowedScene) -> Window:
    """The fullest of nine windows of MAX_SIDE MS pixels at most, the middle one first.

    Raises: SceneError if none has any data.
    """
    fullest: Window | None = None
    best_share = 0.0
    for box in _windows(*scene.shape):
        window = scene.read(box)
        share = float(window.valid.float().mean())
        if share > best_share:
            fullest, best_share = window, share
        if best_share > _FULL_ENOUGH:
            break
    if fullest is None:
        raise SceneError(NO_DATA)
    return fullest


def estimate_pair_shift(
    ms: Tensor,
    pan: Tensor,
    gain: float,
    ratio: int,
    valid: Tensor | None,
    phase: GridPhase,
    near: Shift = NO_SHIFT,
) -> Shift:
    """estimate_shift of a pair whose blur has this gain at the MS's Nyquist."""
    sigma = float(gain_to_sigma(torch.tensor(gain), ratio))
    return estimate_shift(ms, pan, ratio, sigma, valid, phase, near)


def _windows(h: int, w: int) -> list[Box]:
    rows = [(h - MAX_SIDE) // 2, 0, h - MAX_SIDE] if h > MAX_SIDE else [0]
    columns = [(w - MAX_SIDE) // 2, 0, w - MAX_SIDE] if w > MAX_SIDE else [0]
    return [
        Box(top=y, left=x, bottom=min(h, y + MAX_SIDE), right=min(w, x + MAX_SIDE))
        for y in rows
        for x in columns
    ]

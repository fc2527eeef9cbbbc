"""Random optics of a sample: MTF of each band and axis, shifts and faults, as kernels."""

from dataclasses import dataclass

import numpy as np

from simgen.config import Recipe
from simgen.effects import Decimation, Range
from simgen.physics.kernels import (
    blur_kernel,
    defocused,
    kernel_gain,
    resampled,
    sharpened,
    stacked,
)
from simgen.physics.mtf import paper_taps, tap_count
from simgen.sampling.streams import maybe, uniform, vector

_LEAST_FACT = 1e-6  # a disk may pass nothing at Nyquist; a fact must be positive
_CRISPEST = 0.97
_UNMOVED = np.zeros(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Optics:
    """Kernels (bands, R, 2, K) as in physics/optics.py, and the facts that they make true."""

    gt: np.ndarray  # scene -> gt
    ms: np.ndarray  # gt -> ms, or scene -> ms where physical
    pan: np.ndarray  # scene -> PAN
    physical: bool
    mtf_ms: tuple[float, ...]  # what the kernels do, not what was drawn
    mtf_pan: float
    softness: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _SensorDraws:
    """Gains, displacements and faults of one sensor, before they become kernels."""

    softness_C: np.ndarray
    mtf_pan: float
    mtf_ms_C: np.ndarray
    stretch_gt: float
    stretch_ms: float
    stretch_pan: float
    shift: np.ndarray  # scene pixels, as are the two below
    looks_C2: np.ndarray  # displacement of each band
    defocus: float
    halos: tuple[float, float]
    decimation: Decimation
    physical: bool


def draw_optics(recipe: Recipe, rng: np.random.Generator, C: int) -> Optics:
    """Gains, shifts and faults of one sensor, as kernels."""
    if recipe.optics.kernel == "paper":
        identity = np.ones((C, 1, 2, 1), np.float32)
        paper = np.tile(paper_taps(), (C, 1, 2, 1))
        return _with_facts(recipe, identity, paper, identity[:1], physical=False)
    draws = _draw_sensor(recipe, rng, C)
    if recipe.optics.target == "scene":
        return _scene_target(recipe, draws)
    return _sensor_target(recipe, draws)


def _draw_sensor(recipe: Recipe, rng: np.random.Generator, C: int) -> _SensorDraws:
    fine, optics, geometry = recipe.oversample, recipe.optics, recipe.geometry
    softness = _band_gains(recipe, rng, C, optics.softness)
    mtf_pan = uniform(rng, optics.mtf_pan)
    mtf_ms = _band_gains(recipe, rng, C, optics.mtf_ms)
    if optics.like_sensor is not None:
        mtf_ms = np.array(optics.like_sensor.gains(C))
    stretch_gt, stretch_ms, stretch_pan = (
        uniform(rng, optics.anisotropy) * rng.choice([-1, 1]) for _ in range(3)
    )
    shift = vector(rng, maybe(rng, geometry.shift_chance, geometry.shift, power=3.0)) * fine
    parallax = vector(rng, maybe(rng, geometry.parallax_chance, geometry.parallax)) * fine
    looks_C2 = rng.permutation(np.linspace(-1, 1, C) if C > 1 else np.zeros(1))[:, None] * parallax
    defocus = maybe(rng, optics.defocus_chance, optics.defocus) * fine
    halos = [maybe(rng, optics.halo_chance, optics.halo) for _ in range(2)]
    decimation = optics.decimation[rng.integers(len(optics.decimation))]
    return _SensorDraws(
        softness_C=softness,
        mtf_pan=mtf_pan,
        mtf_ms_C=mtf_ms,
        stretch_gt=stretch_gt,
        stretch_ms=stretch_ms,
        stretch_pan=stretch_pan,
        shift=shift,
        looks_C2=looks_C2,
        defocus=defocus,
        halos=(halos[0], halos[1]),
        decimation=decimation,
        physical=bool(rng.random() < optics.physical),
    )


def _sensor_target(recipe: Recipe, draws: _SensorDraws) -> Optics:
    """Kernels of gt and PAN with the faults that optics and geometry give them; PAN is shifted."""
    fine, ratio = recipe.oversample, recipe.ratio
    optics, geometry = recipe.optics, recipe.geometry
    gt = [
        _faulty(
            _blur(recipe, gain, fine, optics.softness, draws.stretch_gt, look, geometry.parallax),
            draws.defocus, draws.halos[0], fine,
        )
        for gain, look in zip(draws.softness_C, draws.looks_C2, strict=True)
    ]  # fmt: skip
    pan = _faulty(
        _blur(
            recipe, draws.mtf_pan, fine, optics.mtf_pan, draws.stretch_pan,
            draws.shift, geometry.shift,
        ),
        draws.defocus, draws.halos[1], fine,
    )  # fmt: skip
    ms = []
    for gain, kernel, look in zip(draws.mtf_ms_C, gt, draws.looks_C2, strict=True):
        if draws.physical:
            # The same gain between gt and ms as Wald's protocol would have had.
            step, total = fine * ratio, gain * kernel_gain(kernel, fine * ratio)
            least = (0.5 * optics.mtf_ms[0], 1.0)
            blur = _blur(
                recipe,
                min(total, _CRISPEST),
                step,
                least,
                draws.stretch_ms,
                look,
                geometry.parallax,
            )
        else:
            step = ratio
            blur = _blur(recipe, gain, step, optics.mtf_ms, draws.stretch_ms, _UNMOVED, (0.0, 0.0))
        ms.append(resampled(blur, step, draws.decimation))
    return _with_facts(recipe, stacked(gt), stacked(ms), stacked([pan]), physical=draws.physical)


def _scene_target(recipe: Recipe, draws: _SensorDraws) -> Optics:
    """Kernels of gt and PAN without faults; shift, parallax, defocus and halo are the MS's alone.

    One softness for all bands of gt, and no anisotropy of it. The MS is observed from the scene.
    """
    fine, step = recipe.oversample, recipe.oversample * recipe.ratio
    optics, geometry = recipe.optics, recipe.geometry
    softness, still = draws.softness_C.mean(), (0.0, 0.0)
    gt = [
        _blur(recipe, softness, fine, optics.softness, 0.0, _UNMOVED, still)
        for _ in draws.softness_C
    ]
    pan = _blur(recipe, draws.mtf_pan, fine, optics.mtf_pan, draws.stretch_pan, _UNMOVED, still)
    farthest = (0.0, geometry.shift[1] + geometry.parallax[1])
    ms = []
    for gain, look in zip(draws.mtf_ms_C, draws.looks_C2, strict=True):
        blur = _blur(
            recipe,
            min(gain, _CRISPEST),
            step,
            optics.mtf_ms,
            draws.stretch_ms,
            look + draws.shift,
            farthest,
        )
        faulty = _faulty(blur, draws.defocus, draws.halos[0], step)
        ms.append(resampled(faulty, step, draws.decimation))
    return _with_facts(recipe, stacked(gt), stacked(ms), stacked([pan]), physical=True)


def _with_facts(
    recipe: Recipe, gt: np.ndarray, ms: np.ndarray, pan: np.ndarray, *, physical: bool
) -> Optics:
    fine, step = recipe.oversample, recipe.ratio * (recipe.oversample if physical else 1)
    mtf_ms = [kernel_gain(kernel, step) for kernel in ms]
    if physical:
        mtf_ms = [gain / kernel_gain(kernel, step) for gain, kernel in zip(mtf_ms, gt, strict=True)]
    return Optics(
        gt=gt,
        ms=ms,
        pan=pan,
        physical=physical,
        mtf_ms=tuple(map(_fact, mtf_ms)),
        mtf_pan=_fact(kernel_gain(pan[0], fine)),
        softness=tuple(_fact(kernel_gain(kernel, fine)) for kernel in gt),
    )


def _fact(gain: float) -> float:
    return round(min(max(gain, _LEAST_FACT), 1.0), 6)


def _band_gains(recipe: Recipe, rng: np.random.Generator, C: int, between: Range) -> np.ndarray:
    spread = rng.uniform(-recipe.optics.band_jitter, recipe.optics.band_jitter, size=C)
    return np.clip(uniform(rng, between) * (1 + spread), *between)


def _blur(
    recipe: Recipe,
    gain: float,
    step: int,
    between: Range,
    stretch: float,
    look: np.ndarray,
    farthest: Range,
) -> np.ndarray:
    least = between[0] ** (1 + recipe.optics.anisotropy[1])
    # Only samples that look elsewhere pay for the taps it takes.
    reach = farthest[1] * recipe.oversample if look.any() else 0.0
    return blur_kernel(
        min(float(gain), _CRISPEST) if look.any() else float(gain),
        step,
        tap_count(least, step, reach),
        stretch=stretch,
        shift=(float(look[0]), float(look[1])),
    )


def _faulty(kernel: np.ndarray, defocus: float, halo: float, step: int) -> np.ndarray:
    if defocus:
        kernel = defocused(kernel, defocus)
    if halo:
        # No more than lifts Nyquist to the gain of light itself: there the halos are widest.
        most = max(0.0, (1 / max(kernel_gain(kernel, step), _LEAST_FACT) - 1) / 4)
        kernel = sharpened(kernel, min(halo, most), step)
    return kernel

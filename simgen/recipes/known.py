"""Sensors through which scenes of known truth are seen: never a recipe of a training."""

from simgen.config import Recipe
from simgen.effects import (
    DetectorRanges,
    GeometryRanges,
    OpticsRanges,
    PhotographRanges,
    RadiometryRanges,
    SpectralRanges,
)

_PHOTOGRAPH = PhotographRanges(gamma=(2.2, 2.2))  # sRGB, without its toe
_OPTICS = OpticsRanges(
    target="scene",
    physical=1.0,
    softness=(0.9, 0.9),
    mtf_ms=(0.04, 0.45),
    mtf_pan=(0.7, 0.97),
    band_jitter=0.15,
    anisotropy=(0.0, 0.12),
    decimation=("point", "point", "area"),
    halo_chance=0.4,
    halo=(0.02, 0.15),
)
_GEOMETRY = GeometryRanges(
    shift_chance=0.7,
    shift=(0.0, 2.0),
    local_shift_chance=0.3,
    local_shift=(0.05, 0.6),
    parallax_chance=0.5,
    parallax=(0.0, 1.0),
    moving_chance=0.3,
    moving=(1.0, 6.0),
)
_SPECTRAL = SpectralRanges(
    keep_rgb=1.0,
    shuffle=0.0,
    nir=0.5,
    signed_rows=0.1,
    material_chance=0.7,
    material=(0.2, 0.8),
    pan_sees=0.75,
    pan_unexplained_chance=0.3,
    pan_unexplained=(0.02, 0.1),
    pan_hidden_chance=0.3,
    pan_hidden=(0.02, 0.1),
    pan_gain=(0.65, 1.6),
    pan_offset=(-0.04, 0.02),
)
_RADIOMETRY = RadiometryRanges(
    bits=(8, 11, 11, 12),
    band_gain=(0.25, 0.65),
    band_offset=(0.0, 0.08),
    haze_chance=0.3,
    haze=(0.05, 0.4),
)
_DETECTOR = DetectorRanges(
    read_noise=(0.0, 0.002),
    shot_noise=(0.0, 5e-5),
    noise_pan=0.5,
    noise_spread=0.3,
    noise_common=(0.0, 0.3),
    noise_grain=(0.0, 0.5),
    stripe_chance=0.15,
    stripe_offset=(0.0, 8e-4),
    stripe_gain=(0.0, 4e-3),
    compression_chance=0.15,
    compression=(5e-4, 4e-3),
)


def known(*, tile: int, reduction: float) -> Recipe:
    """A pair as delivered, and the ground that it shows as the target.

    The target is crisp (.9 at PAN's Nyquist, what `fuse` asks for), in place and without noise.
    Faults lie on MS and PAN alone: MTFs from .04 to .45, bands up to a PAN pixel apart, PAN and MS
    up to two pixels apart, terrain, rings, moved objects, noise, stripes and compression.
    Written out, not taken from `scene`: a set of scenes stays as it is when a training's recipe
    changes. `tile`: PAN pixels a side; `reduction`: pixels of the image in one of PAN.
    """
    return Recipe(
        name="known",
        tile=tile,
        zoom=(reduction / 2, reduction / 2),
        photograph=_PHOTOGRAPH,
        optics=_OPTICS,
        geometry=_GEOMETRY,
        spectral=_SPECTRAL,
        radiometry=_RADIOMETRY,
        detector=_DETECTOR,
    )

"""Ranges of every effect that a recipe draws from, in groups.

Ranges are (low, high), drawn uniformly by default. A new effect is one field of one group: its
name is what a recipe's data, the manifest and Recipe.with_fields() call it.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Literal, get_origin, get_type_hints

from shards.sensors import Sensor
from simgen.errors import ConfigError

Range = tuple[float, float]
Decimation = Literal["point", "area", "bicubic"]
DECIMATIONS: tuple[Decimation, ...] = ("point", "area", "bicubic")
Target = Literal["sensor", "scene"]
MAX_GUIDES = 16


@dataclass(frozen=True, slots=True)
class Within:
    """Limits of a range: what the physics holds for. Beyond, a drawn number would end a build."""

    least: float
    most: float


Gain = Annotated[Range, "gain"]  # at a Nyquist frequency, inside (0, 1]
Chance = Annotated[float, "chance"]  # 0..1
Factor = Annotated[float, "factor"]  # 0..1


def check_fields(ranges: object) -> None:
    """Raises: ConfigError where a field is not in its annotated limits."""
    for name, hint in get_type_hints(type(ranges), include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        value, limits = getattr(ranges, name), hint.__metadata__[0]
        if limits == "gain":
            if not 0 < value[0] <= value[1] <= 1:
                raise ConfigError(f"{name} must be a range inside (0, 1]; got {tuple(value)}")
        elif limits in ("chance", "factor"):
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} is a {limits} in 0..1; got {value}")
        elif not limits.least <= value[0] <= value[1] <= limits.most:
            raise ConfigError(
                f"{name} must be a range (low, high) in {limits.least:g} .. {limits.most:g}; "
                f"got {tuple(value)}"
            )


class Ranges:
    """Base of the groups of a recipe. A new effect is one field in one of them."""

    __slots__ = ()

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotographRanges(Ranges):
    """The source photograph, before it counts as light."""

    brightness: Annotated[Range, Within(0, 4)] = (1.0, 1.0)  # factor, encoded RGB only
    contrast: Annotated[Range, Within(0, 4)] = (1.0, 1.0)
    saturation: Annotated[Range, Within(0, 4)] = (1.0, 1.0)
    hue: Annotated[Range, Within(-180, 180)] = (0.0, 0.0)  # degrees
    jitter_chance: Chance = 0.0  # of the four above
    high_pass: Annotated[Range, Within(0, 2)] = (0.0, 0.0)  # share added of its high frequencies
    high_pass_chance: Chance = 0.0
    gamma: Annotated[Range, Within(0.2, 5)] = (1.0, 1.0)  # from the photograph to light, RGB only
    shadow: Annotated[Range, Within(0.01, 0.8)] = (0.1, 0.5)  # share of the light left in shadows
    shadow_size: Annotated[Range, Within(0.5, 32)] = (0.7, 8.0)  # their smaller half axis
    shadow_chance: Chance = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class OpticsRanges(Ranges):
    """Blur and decimation: MTF, softness of the target, defocus, ringing."""

    # What gt is. "sensor": the MS sensor's view on PAN's grid, its faults included (Wald).
    # "scene": the ground where PAN shows it, one softness for all bands; shift, local shift,
    # parallax, halo, defocus and moved objects are then the MS's alone.
    target: Target = "sensor"
    like_sensor: Sensor | None = None  # its MS gains; None draws a new sensor a sample
    kernel: Literal["gaussian", "paper"] = "gaussian"
    mtf_ms: Gain = (0.12, 0.60)  # from gt to ms at the MS Nyquist
    mtf_pan: Gain = (0.40, 0.95)  # from scene to PAN at the PAN Nyquist
    softness: Gain = (0.05, 0.95)  # from scene to gt at gt's own Nyquist
    band_jitter: float = 0.10  # relative spread of the gains over the bands of one sample
    anisotropy: Annotated[Range, Within(0, 0.5)] = (0.0, 0.0)  # exponents 1 +- a along and across
    decimation: tuple[Decimation, ...] = ("point",)  # of the MS; drawn among these
    physical: Chance = 0.0  # that ms is observed from the scene, not from gt (Wald)
    defocus: Annotated[Range, Within(0, 4)] = (0.0, 0.0)  # radius of the disk
    defocus_chance: Chance = 0.0  # of gt and PAN together
    halo: Annotated[Range, Within(0, 0.25)] = (0.0, 0.0)  # sharpening: neighbours' weight
    halo_chance: Chance = 0.0  # for PAN and for gt, each


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometryRanges(Ranges):
    """Misregistration of PAN and bands, and objects that move between them."""

    shift: Annotated[Range, Within(0, 4)] = (0.0, 0.0)  # of PAN against MS; most small
    shift_chance: Chance = 0.0
    local_shift: Annotated[Range, Within(0, 2)] = (0.0, 0.0)  # spread of a smooth field
    local_shift_chance: Chance = 0.0
    parallax: Annotated[Range, Within(0, 2)] = (0.0, 0.0)  # of the outermost band
    parallax_chance: Chance = 0.0
    moving: Annotated[Range, Within(0, 32)] = (0.0, 0.0)  # of objects, from MS to PAN
    moving_size: Annotated[Range, Within(0.5, 16)] = (1.0, 4.0)  # half axes of the objects
    moving_chance: Chance = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SpectralRanges(Ranges):
    """Bands from colours, and PAN from bands."""

    keep_rgb: Chance = 0.6  # that the first bands are the photograph's own
    spectral: Chance = 0.0  # that all bands are response curves on one wavelength axis
    nir: Chance = 0.0  # that a further band is a nonlinear NIR
    signed_rows: Chance = 0.5  # that any other further band is a signed mix, else convex
    material: Annotated[Range, Within(0, 3)] = (0.0, 0.0)  # spread of log reflectance
    material_chance: Chance = 0.0  # that bands are tinted by materials, RGB only
    shuffle: Chance = 1.0  # that the bands come in random order
    pan_unexplained: Annotated[Range, Within(0, 1)] = (0.0, 0.25)  # texture no band has
    pan_unexplained_chance: Chance = 0.7
    pan_sees: Chance = 0.0  # least share of the MS's bands in PAN; two bands at least
    pan_hidden: Annotated[Range, Within(0, 0.9)] = (0.0, 0.0)  # PAN from a band outside the MS's
    pan_hidden_chance: Chance = 0.0
    pan_gain: Annotated[Range, Within(0, 4)] = (1.0, 1.0)  # sum of PAN's band weights
    pan_offset: Range = (0.0, 0.0)
    guides: int = 0  # sharp bands in place of PAN; 0: a PAN. PAN is their regression on the band


@dataclass(frozen=True, kw_only=True, slots=True)
class RadiometryRanges(Ranges):
    """From light to digital numbers: bit depth, gains, exposure, atmosphere."""

    bits: tuple[int, ...] = (11,)
    band_gain: Range = (1.0, 1.0)
    band_offset: Range = (0.0, 0.0)
    exposure: Annotated[Range, Within(0.05, 16)] = (1.0, 1.0)  # highlights saturate
    exposure_chance: Chance = 0.0
    haze: Annotated[Range, Within(0, 0.9)] = (0.0, 0.0)  # contrast lost in the blue
    haze_chance: Chance = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorRanges(Ranges):
    """Noise, stripes and on-board compression."""

    read_noise: Annotated[Range, Within(0, 1)] = (0.0, 0.0)  # sigma
    shot_noise: Annotated[Range, Within(0, 1)] = (0.0, 0.0)  # variance per unit of signal
    noise_pan: Factor = 1.0  # of PAN's read noise
    noise_spread: float = 0.0  # relative spread of sigma over the bands of one sample
    noise_common: Annotated[Range, Within(0, 1)] = (0.0, 0.0)  # share common to all bands
    noise_grain: Annotated[Range, Within(0, 1)] = (0.0, 0.0)  # neighbours' weight: not white
    stripe_offset: Annotated[Range, Within(0, 1)] = (0.0, 0.0)  # sigma over lines
    stripe_gain: Annotated[Range, Within(0, 1)] = (0.0, 0.0)  # relative sigma over lines
    stripe_chance: Chance = 0.0
    compression: Annotated[Range, Within(0, 0.5)] = (0.0, 0.0)  # JPEG's step, of full scale
    compression_chance: Chance = 0.0


# In the order of the fields in a recipe's data, which names no groups.
GROUPS: dict[str, type[Ranges]] = {
    "photograph": PhotographRanges,
    "optics": OpticsRanges,
    "geometry": GeometryRanges,
    "spectral": SpectralRanges,
    "radiometry": RadiometryRanges,
    "detector": DetectorRanges,
}
GROUP_OF = {
    spec.name: name
    for name, group in GROUPS.items()
    for spec in fields(group)  # type: ignore[arg-type]
}
# Fields that recipes got after 0.1.0. A recipe's data name them only where they differ from the
# default, so that the digest of every earlier recipe stays what it was.
LATER = frozenset({"guides", "target", "noise_pan", "shadow", "shadow_size", "shadow_chance"})

"""A build, said in frozen data. Ranges are (low, high), drawn uniformly unless said."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from shards.compression import Compression
from shards.schema import MAX_BANDS, MAX_SIDE
from shards.sensors import Sensor
from simgen.errors import ConfigError

Range = tuple[float, float]
Decimation = Literal["point", "area", "bicubic"]
DECIMATIONS: tuple[Decimation, ...] = ("point", "area", "bicubic")

# What the physics holds for; beyond these a drawn number would fail in the middle of a build.
_LIMITS: dict[str, Range] = {
    "zoom": (1, 64),
    "brightness": (0, 4),
    "contrast": (0, 4),
    "saturation": (0, 4),
    "hue": (-180, 180),
    "high_pass": (0, 2),
    "gamma": (0.2, 5),
    "anisotropy": (0, 0.5),
    "defocus": (0, 4),
    "halo": (0, 0.25),
    "shift": (0, 4),
    "local_shift": (0, 2),
    "parallax": (0, 2),
    "moving": (0, 32),
    "moving_size": (0.5, 16),
    "material": (0, 3),
    "pan_unexplained": (0, 1),
    "pan_hidden": (0, 0.9),
    "pan_gain": (0, 4),
    "exposure": (0.05, 16),
    "haze": (0, 0.9),
    "read_noise": (0, 1),
    "shot_noise": (0, 1),
    "noise_common": (0, 1),
    "noise_grain": (0, 1),
    "stripe_offset": (0, 1),
    "stripe_gain": (0, 1),
    "compression": (0, 0.5),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a photograph becomes a sample. Lengths: PAN pixels; radiometry: 0..1 of full scale."""

    name: str
    tile: int = 256  # PAN pixels a side
    ratio: int = 4
    oversample: int = 2  # scene pixels per PAN pixel
    zoom: Range = (1.0, 2.0)  # photograph pixels per scene pixel, log-uniform

    brightness: Range = (1.0, 1.0)  # factors on the encoded photograph, RGB only
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    hue: Range = (0.0, 0.0)  # degrees
    jitter_chance: float = 0.0  # of the four above
    high_pass: Range = (0.0, 0.0)  # share of the photograph's own high frequencies added to it
    high_pass_chance: float = 0.0
    gamma: Range = (1.0, 1.0)  # from the photograph to light, RGB only

    like_sensor: Sensor | None = None  # its MS gains; None draws a new sensor a sample
    kernel: Literal["gaussian", "paper"] = "gaussian"
    mtf_ms: Range = (0.12, 0.60)  # gain from gt to ms at the MS Nyquist
    mtf_pan: Range = (0.40, 0.95)  # gain from scene to PAN at the PAN Nyquist
    softness: Range = (0.05, 0.95)  # gain from scene to gt at gt's own Nyquist
    band_jitter: float = 0.10  # relative spread of the gains over the bands of one sample
    anisotropy: Range = (0.0, 0.0)  # exponents 1 +- a of the gains along and across
    decimation: tuple[Decimation, ...] = ("point",)  # of the MS; drawn among these
    physical: float = 0.0  # chance that ms sees the scene itself, not gt (Wald)
    defocus: Range = (0.0, 0.0)  # radius of the disk
    defocus_chance: float = 0.0  # of gt and PAN together
    halo: Range = (0.0, 0.0)  # weight of the sharpening's negative neighbours
    halo_chance: float = 0.0  # for PAN and for gt, each

    shift: Range = (0.0, 0.0)  # of PAN against MS, any direction; cubes of uniform: most small
    shift_chance: float = 0.0
    local_shift: Range = (0.0, 0.0)  # spread of a smooth field of displacements
    local_shift_chance: float = 0.0
    parallax: Range = (0.0, 0.0)  # of the outermost band against the mean of all
    parallax_chance: float = 0.0
    moving: Range = (0.0, 0.0)  # distance that objects move from MS to PAN
    moving_size: Range = (1.0, 4.0)  # half axes of the objects
    moving_chance: float = 0.0

    keep_rgb: float = 0.6  # chance that the first bands are the photograph's own
    spectral: float = 0.0  # chance that all bands are response curves on one wavelength axis
    nir: float = 0.0  # chance that a further band is a nonlinear NIR
    signed_rows: float = 0.5  # chance that any other further band is a signed mix, else convex
    material: Range = (0.0, 0.0)  # spread of the logarithm of what materials reflect in a band
    material_chance: float = 0.0  # that bands are tinted by the photograph's materials, RGB only
    shuffle: float = 1.0  # chance that the bands come in random order
    pan_unexplained: Range = (0.0, 0.25)  # of PAN's spread: texture no band has
    pan_unexplained_chance: float = 0.7
    pan_sees: float = 0.0  # least share of the MS's bands that PAN sees; two bands at least
    pan_hidden: Range = (0.0, 0.0)  # share of PAN's weights on a band outside the MS's
    pan_hidden_chance: float = 0.0
    pan_gain: Range = (1.0, 1.0)  # sum of PAN's band weights
    pan_offset: Range = (0.0, 0.0)

    bits: tuple[int, ...] = (11,)
    band_gain: Range = (1.0, 1.0)
    band_offset: Range = (0.0, 0.0)
    exposure: Range = (1.0, 1.0)  # factor of all bands: highlights saturate
    exposure_chance: float = 0.0
    haze: Range = (0.0, 0.0)  # loss of contrast in the shortest wavelength
    haze_chance: float = 0.0
    read_noise: Range = (0.0, 0.0)  # sigma
    shot_noise: Range = (0.0, 0.0)  # variance per unit of signal
    noise_spread: float = 0.0  # relative spread of sigma over the bands of one sample
    noise_common: Range = (0.0, 0.0)  # share of the variance that all bands have in common
    noise_grain: Range = (0.0, 0.0)  # weight of the neighbours: noise that is not white
    stripe_offset: Range = (0.0, 0.0)  # sigma over lines
    stripe_gain: Range = (0.0, 0.0)  # relative sigma over lines
    stripe_chance: float = 0.0
    compression: Range = (0.0, 0.0)  # JPEG's quantisation step, of full scale
    compression_chance: float = 0.0

    def __post_init__(self) -> None:
        for name in ("tile", "ratio", "oversample"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.tile % self.ratio or not 4 * self.ratio <= self.tile <= MAX_SIDE:
            raise ConfigError(
                f"tile must be a multiple of ratio {self.ratio}, from four MS pixels to {MAX_SIDE} "
                f"PAN pixels; got {self.tile}"
            )
        if self.kernel == "paper" and self.ratio != 4:
            raise ConfigError(f"the paper's kernel decimates by 4; got ratio {self.ratio}")
        self._check_ranges()
        if not all(1 <= b <= 16 for b in self.bits) or not self.bits:
            raise ConfigError(f"bits must lie in 1..16; got {self.bits}")
        if not self.decimation or set(self.decimation) - set(DECIMATIONS):
            raise ConfigError(
                f"decimation must name some of {', '.join(DECIMATIONS)}; got {self.decimation}"
            )

    def _check_ranges(self) -> None:
        for name, (least, most) in _LIMITS.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ConfigError(
                    f"{name} must be a range (low, high) in {least:g} .. {most:g}; "
                    f"got {(low, high)}"
                )
        for name in ("mtf_ms", "mtf_pan", "softness"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise ConfigError(f"{name} must be a range inside (0, 1]; got {(low, high)}")
        chances = (f.name for f in fields(self) if f.name.endswith("_chance"))
        shares = ("pan_sees", "keep_rgb", "spectral", "nir", "signed_rows", "shuffle", "physical")
        for name in (*chances, *shares):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a chance in 0..1; got {getattr(self, name)}")

    @property
    def min_side(self) -> int:
        """Photograph pixels: a smaller one would be enlarged even when mirrored, so is rejected."""
        return -(-self.tile * self.oversample // 2)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON types, as the manifest keeps them."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data

    @property
    def digest(self) -> str:
        return digest(self.as_data())


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One call of `simgen build`."""

    dataset: str
    source: Path | None
    out: Path
    recipe: Recipe
    split: str | None = None  # of sources that have them
    filters: tuple[str, ...] = ()  # conditions on a source's metadata, all to hold
    bands: tuple[int, ...] = (4, 8)  # shard i has bands[i % len]
    draws: int = 1  # samples an image
    limit: int | None = None  # at most so many samples
    shard_size: int = 128  # samples planned a shard
    seed: int = 0
    device: Literal["cpu", "gpu"] = "cpu"
    compression: Compression = ""  # of the arrays in the tars
    max_pixels: int = 100_000_000  # a larger image is rejected undecoded
    max_bytes: int = 256_000_000  # a larger file is rejected unread

    def __post_init__(self) -> None:
        for name in ("draws", "shard_size", "max_pixels"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1; got {self.limit}")
        if not self.bands or not all(1 <= C <= MAX_BANDS for C in self.bands):
            raise ConfigError(f"bands must lie in 1..{MAX_BANDS}; got {self.bands}")
        if self.seed < 0:
            raise ConfigError(f"seed must not be negative; got {self.seed}")
        like = self.recipe.like_sensor
        if like is not None and set(self.bands) != {len(like.bands)}:
            raise ConfigError(
                f"{like.name} has {len(like.bands)} bands; got --bands "
                + " ".join(map(str, self.bands))
            )


def digest(data: Any) -> str:
    """sha256 of canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

"""A build, said in frozen data. Ranges are (low, high), drawn uniformly unless said."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from shards.schema import MAX_BANDS, MAX_SIDE
from shards.sensors import SENSORS
from simgen.errors import ConfigError

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a photograph becomes a sample. Lengths: PAN pixels; radiometry: 0..1 of full scale."""

    name: str
    tile: int = 256  # PAN pixels a side
    ratio: int = 4
    oversample: int = 2  # scene pixels per PAN pixel
    zoom: Range = (1.0, 2.0)  # photograph pixels per scene pixel, log-uniform

    like_sensor: str | None = None  # a row of shards/sensors.py; None draws a new sensor a sample
    kernel: Literal["gaussian", "paper"] = "gaussian"
    mtf_ms: Range = (0.12, 0.60)  # gain from gt to ms at the MS Nyquist
    mtf_pan: Range = (0.40, 0.95)  # gain from scene to PAN at the PAN Nyquist
    softness: Range = (0.05, 0.95)  # gain from scene to gt at gt's own Nyquist
    band_jitter: float = 0.10  # relative spread of the gains over the bands of one sample

    keep_rgb: float = 0.6  # chance that the first bands are the photograph's own
    signed_rows: float = 0.5  # chance that a further band is a signed mix, else a convex one
    pan_unexplained: Range = (0.0, 0.25)  # of PAN's spread: texture no band has
    pan_unexplained_chance: float = 0.7
    pan_gain: Range = (1.0, 1.0)  # sum of PAN's band weights
    pan_offset: Range = (0.0, 0.0)

    bits: tuple[int, ...] = (11,)
    gamma: Range = (1.0, 1.0)
    band_gain: Range = (1.0, 1.0)
    band_offset: Range = (0.0, 0.0)
    read_noise: Range = (0.0, 0.0)  # sigma
    shot_noise: Range = (0.0, 0.0)  # variance per unit of signal

    def __post_init__(self) -> None:
        for name in ("tile", "ratio", "oversample"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.tile % self.ratio or not 4 * self.ratio <= self.tile <= MAX_SIDE:
            raise ConfigError(
                f"tile must be a multiple of ratio {self.ratio}, from four MS pixels to {MAX_SIDE} "
                f"PAN pixels; got {self.tile}"
            )
        for name in ("mtf_ms", "mtf_pan", "softness"):
            low, high = getattr(self, name)
            if not 0 < low <= high <= 1:
                raise ConfigError(f"{name} must be a range inside (0, 1]; got {(low, high)}")
        if not all(1 <= b <= 16 for b in self.bits) or not self.bits:
            raise ConfigError(f"bits must lie in 1..16; got {self.bits}")
        if self.like_sensor is not None and self.like_sensor not in SENSORS:
            raise ConfigError(
                f"like_sensor={self.like_sensor!r} is unknown; known: {', '.join(SENSORS)}. "
                "To add one, add a row with its source to shards/sensors.py."
            )

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
    bands: tuple[int, ...] = (4, 8)  # shard i has bands[i % len]
    draws: int = 1  # samples an image
    limit: int | None = None  # at most so many samples
    shard_size: int = 128  # samples planned a shard
    seed: int = 0
    device: Literal["cpu", "gpu"] = "cpu"
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
        if self.recipe.like_sensor is not None:
            expected = len(SENSORS[self.recipe.like_sensor].bands)
            if self.bands != (expected,):
                raise ConfigError(
                    f"{self.recipe.like_sensor} has {expected} bands; got --bands "
                    + " ".join(map(str, self.bands))
                )


def digest(data: Any) -> str:
    """sha256 of canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

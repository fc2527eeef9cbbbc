"""Recipes and builds as frozen dataclasses."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from shards.compression import Compression
from shards.schema import MAX_BANDS, MAX_SIDE
from simgen.effects import (
    DECIMATIONS,
    GROUP_OF,
    GROUPS,
    LATER,
    MAX_GUIDES,
    DetectorRanges,
    GeometryRanges,
    OpticsRanges,
    PhotographRanges,
    RadiometryRanges,
    Range,
    Ranges,
    SpectralRanges,
    Within,
    check_fields,
)
from simgen.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How a photograph becomes a sample. Lengths: PAN pixels; radiometry: 0..1 of full scale."""

    name: str
    tile: int = 256  # PAN pixels a side
    ratio: int = 4
    oversample: int = 2  # scene pixels per PAN pixel
    zoom: Annotated[Range, Within(1, 64)] = (1.0, 2.0)  # photograph px per scene px, log-uniform
    photograph: PhotographRanges = field(default_factory=PhotographRanges)
    optics: OpticsRanges = field(default_factory=OpticsRanges)
    geometry: GeometryRanges = field(default_factory=GeometryRanges)
    spectral: SpectralRanges = field(default_factory=SpectralRanges)
    radiometry: RadiometryRanges = field(default_factory=RadiometryRanges)
    detector: DetectorRanges = field(default_factory=DetectorRanges)

    def __post_init__(self) -> None:
        for name in ("tile", "ratio", "oversample"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.tile % self.ratio or not 4 * self.ratio <= self.tile <= MAX_SIDE:
            raise ConfigError(
                f"tile must be a multiple of ratio {self.ratio}, from four MS pixels to {MAX_SIDE} "
                f"PAN pixels; got {self.tile}"
            )
        optics = self.optics
        if optics.target == "scene" and (optics.physical != 1 or optics.kernel == "paper"):
            raise ConfigError(
                "the target `scene` needs physical=1 and the gaussian kernel, since its MS is "
                f"observed from the scene; got physical={optics.physical}, kernel={optics.kernel}"
            )
        if optics.kernel == "paper" and self.ratio != 4:
            raise ConfigError(f"the paper's kernel decimates by 4; got ratio {self.ratio}")
        check_fields(self)
        self._check_guides()
        bits, decimation = self.radiometry.bits, optics.decimation
        if not all(1 <= b <= 16 for b in bits) or not bits:
            raise ConfigError(f"bits must lie in 1..16; got {bits}")
        if not decimation or set(decimation) - set(DECIMATIONS):
            raise ConfigError(
                f"decimation must name some of {', '.join(DECIMATIONS)}; got {decimation}"
            )

    def _check_guides(self) -> None:
        """Raises: ConfigError where guides meet what only a PAN has."""
        if not self.spectral.guides:
            return
        if not 2 <= self.spectral.guides <= MAX_GUIDES:
            raise ConfigError(f"guides are 2..{MAX_GUIDES}, or 0; got {self.spectral.guides}")
        chances = {
            "physical": self.optics.physical,
            "moving_chance": self.geometry.moving_chance,
            "local_shift_chance": self.geometry.local_shift_chance,
            "pan_unexplained_chance": self.spectral.pan_unexplained_chance,
        }
        met = [name for name, chance in chances.items() if chance]
        if met or self.optics.kernel == "paper" or self.optics.target == "scene":
            raise ConfigError(
                f"guides go with the target `sensor`, the gaussian kernel and none of {[*chances]}"
            )

    def with_fields(self, **changes: Any) -> "Recipe":
        """The recipe with other values, each named as in as_data(), whichever group has it.

        Raises: ConfigError for a name that no recipe has, or a value beyond its limits.
        """
        own = {spec.name for spec in fields(self)} - set(GROUPS)
        changed = {name: value for name, value in changes.items() if name in own}
        grouped: dict[str, dict[str, Any]] = {}
        for name in changes.keys() - own:
            if name not in GROUP_OF:
                raise ConfigError(f"a recipe has no field {name!r}")
            grouped.setdefault(GROUP_OF[name], {})[name] = changes[name]
        for group, values in grouped.items():
            changed[group] = replace(getattr(self, group), **values)
        return replace(self, **changed)

    @property
    def min_side(self) -> int:
        """Photograph pixels: a smaller one would be enlarged even when mirrored, so is rejected."""
        return -(-self.tile * self.oversample // 2)

    def as_data(self) -> dict[str, Any]:
        """Plain JSON types without the groups, as manifests have them since 0.1.0.

        Later fields are left out at their defaults, so that digests stay.
        """
        flat: dict[str, Any] = {}
        for name in (spec.name for spec in fields(self)):
            value = getattr(self, name)
            flat |= _without_later_defaults(value) if name in GROUPS else {name: value}
        data: dict[str, Any] = json.loads(json.dumps(flat))
        return data

    @property
    def digest(self) -> str:
        return digest(self.as_data())


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One call of `simgen build`. What a field says of itself is the help of its flag."""

    dataset: str
    source: Annotated[Path | None, "its images, see docs/guides/sources.md (demo: held-out)"]
    out: Annotated[Path, "folder of the shards"]
    recipe: Recipe
    split: Annotated[str | None, "imagenet: train (the default), validation or test"] = None
    filters: tuple[str, ...] = ()  # conditions on a source's metadata, all to hold
    bands: Annotated[tuple[int, ...], "band counts, in turn from shard to shard"] = (4, 8)
    draws: Annotated[int, "samples an image"] = 1
    limit: Annotated[int | None, "at most so many samples"] = None
    shard_size: Annotated[int, "samples planned a shard"] = 128
    seed: Annotated[int, "of all that is random"] = 0
    device: Annotated[Literal["cpu", "gpu"], "where images are simulated"] = "cpu"
    compression: Compression = ""  # of the arrays in the tars
    max_pixels: Annotated[int, "a larger image is rejected undecoded"] = 100_000_000
    max_bytes: Annotated[int, "a larger file is rejected unread"] = 256_000_000

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
        if self.recipe.spectral.guides and self.bands != (1,):
            raise ConfigError(
                "with guides a PAN is of one band: `bands=1`; got "
                f"`bands={' '.join(map(str, self.bands))}`"
            )
        like = self.recipe.optics.like_sensor
        if like is not None and set(self.bands) != {len(like.bands)}:
            raise ConfigError(
                f"{like.name} has {len(like.bands)} bands; "
                f"got `bands={' '.join(map(str, self.bands))}`"
            )


def _without_later_defaults(group: Ranges) -> dict[str, Any]:
    values = asdict(group)  # type: ignore[call-overload]
    for spec in fields(group):  # type: ignore[arg-type]
        if spec.name in LATER and values[spec.name] == spec.default:
            del values[spec.name]
    like = values.get("like_sensor")
    if like is not None and not like["ratios"]:  # a later field of a sensor's row
        del like["ratios"]
    return dict(values)


def digest(data: Any) -> str:
    """sha256 of canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()

"""What fuses: a network with its weights, or a classical method; told of the sensor alike."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from fusiontrain.classical import METHODS
from fusiontrain.classical.method import SOFT, Method
from fusiontrain.errors import SceneError
from fusiontrain.fusion.classical_fuser import fuse_windows_classical
from fusiontrain.fusion.sensor_model import BANDS, SensorModel, estimate_sensor_model
from fusiontrain.fusion.window_loop import FusedWindow, fuse_windows, scene_statistics, scene_tiles
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.pretrained_weights import find_weights
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.metadata import guess_sensor
from fusiontrain.scenes.scene import WindowedScene
from shards.manifest import file_sha256
from shards.sensors import Sensor, find_sensor, match_sensor

NETWORK = "net"
MEMORY = 2.0  # GiB that windows may take
_CORES = (4096, 3072, 2048, 1536, 1024, 768, 512, 256)  # PAN pixels a side
# Measured (python -m bench.speed.whole_scenes): peak bytes a PAN pixel and band; Mpix a second,
# core and band.
_BYTES = {NETWORK: 140, "classical": 90}
_SPEED = {NETWORK: 1.0, "classical": 8.0}
_MARGINS = 22  # of a window's side, at most: then a fifth is read twice
_FIXED = 0.45  # GiB: torch, GDAL and its cache
_MOST_SECONDS, _MOST_STEPS = 3600, 1000  # of --adapt
_TELLING = re.compile(r"SAT|SENSOR|PLATFORM|SPACECRAFT|MISSION|INSTRUMENT", re.IGNORECASE)


def method_names() -> dict[str, str]:
    """What --method takes -> the method's name in tables; "-soft" where PAN is softened first."""
    names = {}
    for name in METHODS:
        plain = name.removesuffix(SOFT).lower()
        soft = "-soft" if name.endswith(SOFT) else ""
        names[plain.removeprefix("mtf-") + soft] = name
        names[plain + soft] = name
    return names


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationBudget:
    """How long a network learns from its scene: about so many seconds, or exactly so many steps."""

    seconds: float = 0.0
    steps: int | None = None

    @staticmethod
    def of(asked: "float | str | AdaptationBudget | None") -> "AdaptationBudget | None":
        """60, "60" or "40steps". Raises: SceneError naming what is accepted."""
        if asked is None or isinstance(asked, AdaptationBudget):
            return asked
        text = str(asked).strip().lower()
        count = text.removesuffix("steps").strip()
        try:
            if count != text and 1 <= int(count) <= _MOST_STEPS:
                return AdaptationBudget(steps=int(count))
            if count == text and 0 < float(count) <= _MOST_SECONDS:
                return AdaptationBudget(seconds=float(count))
        except ValueError:
            pass
        raise SceneError(
            f"--adapt is seconds, up to {_MOST_SECONDS}, or steps as in 40steps, up to "
            f"{_MOST_STEPS}; got {asked!r}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionOptions:
    """How to fuse, as asked for; checked early."""

    method: str = NETWORK
    weights: Path | None = None  # or a shipped name; None: the shipped default
    model: str | None = None  # refuse weights of any other
    sensor: str = "auto"
    softness: float | Literal["bands"] | None = None  # None: as the MS itself, at least nominal
    register: bool = True  # PAN moved to where the MS lies
    adapt: AdaptationBudget | None = None
    device: str = "auto"
    bf16: bool = False
    memory: float = MEMORY
    core: int | None = None  # PAN pixels a side of a window; None: by memory

    def __post_init__(self) -> None:
        if self.method != NETWORK and self.method not in method_names():
            raise SceneError(
                f"no method {self.method!r}; have: {NETWORK}, {', '.join(sorted(method_names()))}"
            )
        if self.adapt is not None and self.method != NETWORK:
            raise SceneError(
                f"--adapt tunes a network; --method {self.method} is none: leave one of them out"
            )
        told = self.softness
        if isinstance(told, str) and told != BANDS:
            told = -1.0
        if not (told is None or isinstance(told, str)) and not 0.05 <= told <= 0.95:
            raise SceneError(
                f"--softness is auto, bands or a number from 0.05 to 0.95; got {self.softness!r}"
            )
        if self.core is not None and self.core < 64:
            raise SceneError(f"a window is at least 64 PAN pixels a side; got {self.core}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a scene is cut, and what that takes; an estimate."""

    core: int  # PAN pixels a side that a window writes
    halo: int  # PAN pixels around them that it reads
    windows: int
    megapixels: float
    memory: float  # GiB
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Fuser:
    """Ready to fuse any number of scenes."""

    options: FusionOptions
    name: str
    net: nn.Module | None = field(default=None, repr=False)
    method: Method | None = None
    halo_of: Callable[[int], int]
    digest: str = ""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sensor: Sensor | None = None

    @property
    def tags(self) -> dict[str, str]:
        """What an output says of how it was made."""
        own = {"PANPRIOR_METHOD": self.name}
        if self.net is not None:
            own |= {"PANPRIOR_MODEL": self.name, "PANPRIOR_WEIGHTS_SHA256": self.digest}
        return own

    def estimate_sensor_model(
        self, scene: WindowedScene, *, told: dict[str, str], name: str, picked: Sequence[int] = ()
    ) -> tuple[SensorModel, str]:
        """What the method is told of the scene, and where that comes from.

        `told`: the tags of its files; `name`: theirs; `picked`: bands of a product, from 1.
        """
        if self.sensor is not None:
            row = self.sensor
            if picked and max(picked) <= len(row.mtf_ms):
                row = replace(
                    row,
                    bands=tuple(row.bands[i - 1] for i in picked),
                    mtf_ms=tuple(row.mtf_ms[i - 1] for i in picked),
                )
            known = self._sensor_model(scene, row)
            return known, f"sensor {row.name} and its published MTF, as asked"
        known = self._sensor_model(scene, None)
        seen, where = _seen_in(told, name)
        if seen is None:
            return known, "sensor unknown, MTF measured on the scene"
        if seen.ratio != scene.ratio:
            return known, (
                f"{where} says {seen.name}, whose ratio is {seen.ratio}, not {scene.ratio}: "
                "MTF measured on the scene"
            )
        said = (
            f"sensor {seen.name} ({where}), its published MTF only for PAN and for HQNR; the MS's "
            f"MTF measured on the scene (--sensor {seen.name}: the published one)"
        )
        return replace(known, sensor=seen), said

    def _sensor_model(self, scene: WindowedScene, sensor: Sensor | None) -> SensorModel:
        options = self.options
        blind = self.method is not None and self.method.blind
        return estimate_sensor_model(
            scene,
            sensor=sensor,
            softness=options.softness,
            register=options.register,
            blind=blind,
        )

    def plan(self, scene: WindowedScene, threads: int = 1) -> Plan:
        kind = NETWORK if self.net is not None else "classical"
        h, w = (side * scene.ratio for side in scene.shape)
        halo = self.halo_of(scene.ratio)
        core = self._core(scene, halo, _BYTES[kind] * scene.bands)
        seen = min(h, core + 2 * halo) * min(w, core + 2 * halo)
        read = sum(
            tile.padded.shape[0] * tile.padded.shape[1]
            for tile in scene_tiles(scene, halo=halo, core=core)
        )
        passes = 1.3 if self.method is None else 1 + len(self.method.stacks)
        work = read * scene.ratio**2 * scene.bands * passes / 1e6
        return Plan(
            core=core,
            halo=halo,
            windows=len(scene_tiles(scene, halo=0, core=core)),
            megapixels=h * w / 1e6,
            memory=_FIXED + seen * _BYTES[kind] * scene.bands / 2**30,
            seconds=work / _SPEED[kind] / max(1, threads),
        )

    def parts(
        self,
        scene: WindowedScene,
        sensor_model: SensorModel,
        plan: Plan,
        *,
        advance: Callable[[], None] = lambda: None,
    ) -> Iterator[FusedWindow]:
        """The scene, window by window. `advance` is called as the first pass goes on."""
        if self.net is None:
            if self.method is None:
                raise SceneError("nothing to fuse with")
            yield from fuse_windows_classical(scene, self.method, sensor_model, core=plan.core)
            return
        stats = scene_statistics(scene, sensor_model, advance)
        yield from fuse_windows(
            scene,
            self.net,
            sensor_model,
            halo=plan.halo,
            statistics=stats,
            core=plan.core,
            device=self.device,
            bf16=self.options.bf16,
        )

    def _core(self, scene: WindowedScene, halo: int, bytes_a_pixel: int) -> int:
        if self.options.core is not None:
            return self.options.core
        most = self.options.memory * 2**30 / bytes_a_pixel
        # Classical methods gain nothing from windows larger than their margins ask for.
        cap = _CORES[0] if self.method is None else max(_CORES[-1], _MARGINS * halo)
        for core in _CORES:
            if core <= cap and (core + 2 * halo) ** 2 <= most:
                return core
        raise SceneError(
            f"--memory {self.options.memory:g} GiB is too little for a window of {scene.bands} "
            f"bands; expected at least {(_CORES[-1] + 2 * halo) ** 2 * bytes_a_pixel / 2**30:.2g}"
        )


def make_fuser(options: FusionOptions) -> Fuser:
    """Raises: CheckpointError, SceneError, ContractError if the choice names what is not there."""
    sensor = None if options.sensor == "auto" else find_sensor(options.sensor)
    device = find_device(options.device)
    if options.method != NETWORK:
        method = METHODS[method_names()[options.method]]
        return Fuser(
            options=options,
            name=method.name,
            method=method,
            halo_of=lambda ratio: method.reach * ratio,
            sensor=sensor,
        )
    weights = find_weights(options.weights)
    net, info = load_checkpoint(weights, expect=options.model)
    entry = find_model(info.model)
    return Fuser(
        options=options,
        name=info.model,
        net=net.to(device),
        halo_of=entry.halo,
        digest=file_sha256(weights),
        device=device,
        sensor=sensor,
    )


def find_device(name: str) -> torch.device:
    """auto: a GPU if there is one. Raises: SceneError if there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SceneError(f"--device {name}: {reason}; expected auto, cpu or cuda") from error
    return device


def _seen_in(tags: dict[str, str], name: str) -> tuple[Sensor | None, str]:
    """The sensor that tags, else the file's name, speak of; and where."""
    for key, value in tags.items():
        if _TELLING.search(key) and len(value) < 80:
            row = match_sensor(value) or guess_sensor(value)
            if row is not None:
                return row, f"tag {key}"
    return guess_sensor(name), "by its name"

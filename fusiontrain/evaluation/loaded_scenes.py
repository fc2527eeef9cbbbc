"""Scenes of a benchmark, each read once and its blur and shift estimated once."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.fusion.sensor_model import PairEstimate, estimate_pair
from fusiontrain.scenes.discovery import SceneEntry
from fusiontrain.scenes.scene import Scene
from shards.sensors import GENERIC, Sensor

MAX_BYTES = 2**30  # of images kept between estimating and scoring; scenes beyond are read again


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedScene:
    """A scene that could be read. `entry.load` gives it from memory, if it was kept there."""

    entry: SceneEntry
    sensor: Sensor
    simulated: bool  # the data bring the truth: MS and PAN were made of it
    pair: PairEstimate | None  # estimated at the scene's own resolution; None: failed
    summary: str  # sensor, bands, ratio, bits and softness, for the log


class SceneLoader:
    """Reads scenes and keeps up to `max_bytes` of them in memory."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.bytes_left = max_bytes

    def load(self, entry: SceneEntry) -> LoadedScene:
        """Raises: SceneError if the scene cannot be read."""
        scene = entry.load()
        size = sum(image.numel() * image.element_size() for image in _images(scene))
        if size <= self.bytes_left:
            self.bytes_left -= size
            entry = replace(entry, load=lambda: scene)
        about = f"{scene.sensor.name}, {scene.bands} bands, ratio {scene.ratio}, {scene.bits} bits"
        pair: PairEstimate | None = None
        try:
            pair = estimate_pair(scene, bands=True, band_shifts=True, local_shift=True)
            softness = f", softness {pair.softness:.2f}"
        except SceneError as error:
            softness = f", softness unknown: {error}"
        if scene.gt is None:  # the blur of a simulated pair is no property of the sensor
            about += softness
        return LoadedScene(
            entry=entry,
            sensor=scene.sensor,
            simulated=scene.gt is not None,
            pair=pair,
            summary=f"{scene.name}: {about}",
        )


def by_sensor(scenes: Iterable[LoadedScene]) -> dict[str, list[SceneEntry]]:
    """Known sensor's name -> its scenes. Scenes of unknown sensors are of no common one."""
    groups: dict[str, list[SceneEntry]] = {}
    for loaded in scenes:
        if loaded.sensor is not GENERIC:
            groups.setdefault(loaded.sensor.name, []).append(loaded.entry)
    return groups


def mean_softness(scenes: Iterable[LoadedScene]) -> dict[str, float]:
    """Known sensor's name -> mean softness of its real pairs: simulated ones do not show it."""
    groups: dict[str, list[float]] = {}
    for loaded in scenes:
        if loaded.sensor is not GENERIC and loaded.pair is not None and not loaded.simulated:
            groups.setdefault(loaded.sensor.name, []).append(loaded.pair.softness)
    return {name: sum(values) / len(values) for name, values in groups.items()}


def _images(scene: Scene) -> list[Tensor]:
    return [image for image in (scene.ms, scene.pan, scene.gt, scene.valid) if image is not None]

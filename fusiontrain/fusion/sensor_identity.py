"""Which satellite took a scene: given, or named in the tags and names of its files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.sensor_model import CRISP, SensorModel, estimate_sensor_model, gain_range
from fusiontrain.models.target import Target
from fusiontrain.scenes.metadata import guess_sensor
from fusiontrain.scenes.scene import WindowedScene
from shards.sensors import Sensor, find_sensor, match_sensor

_SENSOR_TAG = re.compile(r"SAT|SENSOR|PLATFORM|SPACECRAFT|MISSION|INSTRUMENT", re.IGNORECASE)
_LONGEST_NAME = 80  # characters of a tag that may name a satellite


def sensor_model_for(
    scene: WindowedScene,
    options: FusionOptions,
    *,
    blind: bool,
    target: Target | None = None,
    tags: Mapping[str, str] | None = None,
    name: str = "",
    bands: Sequence[int] = (),
) -> tuple[SensorModel, str]:
    """The scene's sensor model, and in words where it comes from.

    `tags`, `name`: of the scene's files; `bands`: those fused of a product, from 1; `blind`: the
    method uses neither MTF nor softness; `target`: of a network. That of the scene is crisp unless
    a softness is given, and its bands are moved to one place.
    Raises: ContractError for an unknown sensor; SceneError as estimate_sensor_model.
    """
    given = None if options.sensor == "auto" else _some_bands(find_sensor(options.sensor), bands)
    softness = options.softness
    if softness is None and target == "scene":
        softness = CRISP
    sensor_model = estimate_sensor_model(
        scene,
        sensor=given,
        softness=softness,
        register=options.register,
        blind=blind,
        band_shifts=target == "scene",
        local_shift=options.local_shift,
    )
    sensor_model = replace(sensor_model, frame=options.frame)
    if given is not None:
        return sensor_model, f"sensor {given.name}: its published MTF, as asked"
    named, where = named_sensor(tags or {}, name)
    if named is None:
        return sensor_model, "sensor unknown: no tag and no file name says it"
    if named.ratio != scene.ratio:
        return sensor_model, (
            f"{where} says {named.name}, whose ratio is {named.ratio}, not {scene.ratio}: "
            "its MTF is not used"
        )
    source = (
        f"sensor {named.name} ({where}): its published MTF serves PAN and HQNR "
        f"(`sensor={named.name}`: the MS too)"
    )
    return replace(sensor_model, sensor=named), source


def gain_notes(
    model: SensorModel, options: FusionOptions, *, target: Target | None, what: str
) -> tuple[str, str]:
    """Lines on the MTF and on the softness, each with what it comes from. `what`: "this pair"."""
    estimated = model.ms_softness is not None
    measured = "Measured on" if estimated and options.sensor == "auto" else "Used for"
    source = f"measured on {what}" if estimated else "nominal"
    if isinstance(options.softness, float | int):
        source = "as asked"
    elif options.softness is None and target == "scene":
        source = "target scene"
    elif options.softness is None and target == "sensor" and options.guided:
        source = "as crisp as the guides"
    return (
        f"{measured} {what}: MTF of the MS {gain_range(model.mtf)}",
        f"Softness {gain_range(model.softness)} ({source})",
    )


def named_sensor(tags: Mapping[str, str], name: str) -> tuple[Sensor | None, str]:
    """The sensor that tags name, else the file's name; and which of them does."""
    for key, value in tags.items():
        if _SENSOR_TAG.search(key) and len(value) < _LONGEST_NAME:
            row = match_sensor(value) or guess_sensor(value)
            if row is not None:
                return row, f"tag {key}"
    return guess_sensor(name), "by its name"


def _some_bands(sensor: Sensor, bands: Sequence[int]) -> Sensor:
    """The row of the bands picked, where it has them."""
    if not bands or max(bands) > len(sensor.mtf_ms):
        return sensor
    return replace(
        sensor,
        bands=tuple(sensor.bands[band - 1] for band in bands),
        mtf_ms=tuple(sensor.mtf_ms[band - 1] for band in bands),
    )

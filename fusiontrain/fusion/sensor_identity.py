"""Which satellite took a scene: given, or named in the tags and names of its files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.sensor_model import (
    CRISP,
    MTF_LIMITS,
    SensorModel,
    estimate_sensor_model,
    gain_range,
)
from fusiontrain.models.target import Target
from fusiontrain.scenes.metadata import guess_sensor
from fusiontrain.scenes.scene import WindowedScene
from shards.sensors import Sensor, find_sensor, match_sensor

_SENSOR_TAG = re.compile(r"SAT|SENSOR|PLATFORM|SPACECRAFT|MISSION|INSTRUMENT", re.IGNORECASE)
_LONGEST_NAME = 80  # characters of a tag that may name a satellite
_NUMBER = re.compile(r"(?:^|[\W_])B(8A|\d{1,2})(?=$|[\W_])", re.IGNORECASE)


def sensor_model_for(
    scene: WindowedScene,
    options: FusionOptions,
    *,
    blind: bool,
    target: Target | None = None,
    tags: Mapping[str, str] | None = None,
    name: str = "",
    bands: Sequence[int] = (),
    beside_guides: Sequence[str] | None = None,
) -> tuple[SensorModel, str]:
    """The scene's sensor model, and in words where it comes from.

    `tags`, `name`: of the scene's files; `bands`: those fused of a product, from 1; `blind`: the
    method uses neither MTF nor softness; `target`: of a network. That of the scene is crisp unless
    a softness is given, and its bands are moved to one place. `beside_guides`: the names of the
    scene's bands, whose PAN is made of several sharp bands.
    Raises: ContractError for an unknown sensor; SceneError as estimate_sensor_model.
    """
    given = None if options.sensor == "auto" else _some_bands(find_sensor(options.sensor), bands)
    softness = options.softness
    if softness is None and target == "scene":
        softness = CRISP
    sensor_model = estimate_sensor_model(
        scene,
        sensor=None if given is None or given.ratios else given,
        softness=softness,
        register=options.register,
        blind=blind,
        band_shifts=target == "scene",
        local_shift=options.local_shift,
    )
    sensor_model = replace(sensor_model, frame=options.frame)
    named, where = (given, "as asked") if given else named_sensor(tags or {}, name)
    if named is not None and named.ratios:
        return _without_pan(sensor_model, named, where, beside_guides, scene, blind=blind)
    if given is not None:
        return sensor_model, f"sensor {given.name}: its published MTF, as asked"
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


def _without_pan(
    model: SensorModel,
    sensor: Sensor,
    where: str,
    names: Sequence[str] | None,
    scene: WindowedScene,
    *,
    blind: bool,
) -> tuple[SensorModel, str]:
    """The model with a published gain a band, of a sensor whose PAN is made of its sharp bands.

    The sharp bands are blurred too: what they lack at the MS's Nyquist, a Gaussian's, is no part of
    the blur between them and the MS, and neither is what the softness leaves in.
    """
    if names is None:
        return model, f"sensor {sensor.name} ({where}) has no PAN: its MTF is not used"
    own = _bands_of(sensor, names, scene.ratio)
    if not own:
        listed = ", ".join(sensor.on_grid(scene.ratio)) or "none"
        return model, (
            f"sensor {sensor.name} ({where}): its MTF is not used, as no name of a band says which "
            f"it is; expected those at ratio {scene.ratio}: {listed}"
        )
    gains = torch.tensor(sensor.only(own).mtf_ms, dtype=torch.float64)
    sharp = sensor.mtf_pan * (torch.ones(()) if blind else model.softness.double())
    mtf = (gains / sharp ** (1 / scene.ratio**2)).clamp(*MTF_LIMITS).float()
    return replace(model, mtf=mtf, sensor=sensor), (
        f"sensor {sensor.name} ({where}): the published MTF of each band, beside its sharp bands'"
    )


def _bands_of(sensor: Sensor, names: Sequence[str], ratio: int) -> tuple[str, ...]:
    """The sensor's names of these bands; (): unknown.

    Where bands have no names of their own, as many as there are at that ratio are those.
    """
    listed = sensor.on_grid(ratio)
    numbers = [_NUMBER.search(name) for name in names]
    found = tuple(f"B{match[1].upper().zfill(2)}" if match else "" for match in numbers)
    if len({*names}) == 1 and len(names) == len(listed) > 1:
        return listed
    return found if set(found) <= set(listed) else ()


def gain_notes(
    model: SensorModel, options: FusionOptions, *, target: Target | None, what: str
) -> tuple[str, str]:
    """Lines on the MTF and on the softness, each with what it comes from. `what`: "this pair"."""
    estimated = model.ms_softness is not None
    own = estimated and options.sensor == "auto" and not model.sensor.ratios
    measured = "Measured on" if own else "Used for"
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

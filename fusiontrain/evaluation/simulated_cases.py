"""Simulated samples as cases: the truth is known, and so is the sensor."""

import torch

from fusiontrain.data.crops import Sample
from fusiontrain.evaluation.protocols import Case
from fusiontrain.fusion.sensor_model import SensorModel, find_shift
from fusiontrain.scenes.scene import Scene
from shards.sensors import GENERIC, match_sensor


def case_of_sample(sample: Sample, name: str) -> Case:
    """What methods are told: the MTF and softness it was made with, and a shift as measured."""
    facts = sample.facts
    ms, pan, gt = (
        torch.from_numpy(x.astype("float32")) for x in (sample.ms, sample.pan, sample.gt)
    )
    mtf = torch.tensor(facts.mtf_ms)
    sensor = match_sensor(facts.sensor) or GENERIC
    scene = Scene(name=name, ms=ms, pan=pan, bits=facts.bits, sensor=sensor)
    return Case(
        name=name,
        scene=scene,
        sensor_model=SensorModel(
            mtf=mtf,
            softness=torch.tensor(facts.softness),
            sensor=sensor,
            shift=find_shift(ms, pan, float(mtf.mean()), facts.ratio, None, scene.phase),
        ),
        truth=gt,
    )

"""Scenes of a benchmark: read once, kept in memory up to a limit."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.evaluation.loaded_scenes import LoadedScene, SceneLoader, by_sensor, mean_softness
from fusiontrain.evaluation.protocols import full, reduced
from fusiontrain.fusion.sensor_model import PairEstimate
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.scenes.discovery import SceneEntry
from fusiontrain.scenes.scene import Scene
from shards.sensors import GENERIC, find_sensor
from tests.support.pairs import textured_scene

IKONOS, QUICKBIRD = find_sensor("IKONOS"), find_sensor("QuickBird")


def counted(scene: Scene):
    """An entry, and the list that grows with each read."""
    reads = []
    return SceneEntry(name=scene.name, load=lambda: reads.append(1) or scene), reads


def loaded(name, sensor, softness, *, simulated=False):
    pair = None if softness is None else PairEstimate(softness=softness, shift=NO_SHIFT)
    entry = SceneEntry(name=name, load=textured_scene)
    return LoadedScene(entry=entry, sensor=sensor, simulated=simulated, pair=pair, summary="")


def test_scenes_beyond_the_limit_are_read_again():
    scene = textured_scene(sensor=IKONOS)
    size = 4 * (scene.ms.numel() + scene.pan.numel())
    (first, first_reads), (second, second_reads) = counted(scene), counted(scene)
    loader = SceneLoader(max_bytes=2 * size - 1)

    for entry in (loader.load(first).entry, loader.load(second).entry):
        assert entry.load() is scene

    assert (1, 2) == (len(first_reads), len(second_reads))


def test_what_was_estimated_once_gives_the_same_cases():
    """In the scene's own phase or the other, with a truth of its own or without."""
    alike = textured_scene(sensor=IKONOS)
    gains = torch.tensor([[0.35, 0.45, 0.6, 0.7]])
    ms = degrade(alike.pan[None].expand(1, 4, -1, -1), gains, 4)[0]
    plain = replace(alike, ms=ms)  # bands of several softnesses
    own_truth = replace(plain, gt=torch.rand(4, *plain.pan.shape[1:]) * 1000)

    for scene in (plain, own_truth):
        once = SceneLoader().load(counted(scene)[0])
        for convention in (None, "aligned", "toolbox"):
            for protocol in (reduced, full):
                case = protocol(scene, convention=convention, pair=once.pair)
                expected = protocol(scene, convention=convention).sensor_model
                # Threads sum in any order: the last digits are not the same twice.
                assert expected.shift == pytest.approx(case.sensor_model.shift, abs=1e-9)
                torch.testing.assert_close(expected.mtf, case.sensor_model.mtf)
                torch.testing.assert_close(expected.softness, case.sensor_model.softness)


def test_the_summary_gives_the_softness_of_real_pairs_only():
    scene = textured_scene(sensor=IKONOS)
    nodata = replace(scene, valid=torch.zeros(scene.pan.shape[1:], dtype=torch.bool))

    summaries = [
        SceneLoader().load(counted(one)[0]).summary
        for one in (scene, replace(scene, gt=torch.full((4, *scene.pan.shape[1:]), 900.0)), nodata)
    ]

    assert summaries[0].startswith("x: IKONOS, 4 bands, ratio 4, 11 bits, softness 0.")
    assert summaries[1] == "x: IKONOS, 4 bands, ratio 4, 11 bits"
    assert "softness unknown: " in summaries[2]


def test_a_sensors_softness_is_the_mean_of_its_real_pairs():
    """Simulated pairs, failed estimates and unknown sensors do not count."""
    scenes = [
        *(loaded("a", IKONOS, 0.4), loaded("b", QUICKBIRD, 0.1), loaded("c", IKONOS, 0.6)),
        *(loaded("d", GENERIC, 0.9), loaded("e", IKONOS, None)),
        loaded("f", IKONOS, 0.9, simulated=True),
    ]

    assert {"IKONOS": pytest.approx(0.5), "QuickBird": pytest.approx(0.1)} == mean_softness(scenes)
    names = {sensor: [e.name for e in group] for sensor, group in by_sensor(scenes).items()}
    assert {"IKONOS": ["a", "c", "e", "f"], "QuickBird": ["b"]} == names

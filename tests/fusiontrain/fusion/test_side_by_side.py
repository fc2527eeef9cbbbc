"""Windows computed side by side by threads: the pixels, order and errors of one thread."""

import threading
from dataclasses import fields
from functools import partial

import pytest
import torch

from fusiontrain.classical import METHODS
from fusiontrain.errors import SceneError
from fusiontrain.fusion import classical_fuser, network_fuser
from fusiontrain.fusion.classical_fuser import fuse_windows_classical
from fusiontrain.fusion.flip_ensemble import FlipEnsemble
from fusiontrain.fusion.network_fuser import fuse_windows, scene_statistics
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import (
    ALONE,
    Workers,
    assemble,
    each_window,
    scene_tiles,
    torch_threads,
)
from fusiontrain.imaging.full_precision import tf32
from fusiontrain.scenes.scene import Scene
from tests.support.networks import random_network

MODEL = SensorModel(
    mtf=torch.full((4,), 0.3), softness=torch.tensor([0.2, 0.3, 0.5, 0.9]), shift=(0.3, -0.4)
)
THREADS = 3


@pytest.fixture
def scene():
    """52 x 44 MS pixels; two of its windows of 64 PAN pixels hold no data."""
    rng = torch.Generator().manual_seed(1)
    ms = 500 + 200 * torch.rand(4, 52, 44, generator=rng)
    pan = 500 + 200 * torch.rand(1, 208, 176, generator=rng)
    valid = torch.ones(208, 176, dtype=torch.bool)
    valid[64:128, :128] = False
    return Scene(name="x", ms=ms, pan=pan, valid=valid)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = torch.get_num_threads(), threading.active_count()
    yield
    assert before == (torch.get_num_threads(), threading.active_count())


def places(windows):
    return [window.core for window in windows]


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("anyband-scene", "float32"),
        ("anyband-scene", "bf16"),
        pytest.param("anyband-scene", "flips", marks=pytest.mark.slow),
        ("anyband-lagconv", "float32"),
    ],
)
def test_a_networks_pixels_are_those_of_one_thread(scene, model, kind):
    net = random_network(model)
    how = {
        "halo": 16,
        "core": 64,
        "statistics": scene_statistics(scene, MODEL),
        "bf16": kind == "bf16",
    }
    fuse = partial(fuse_windows, scene, FlipEnsemble(net) if kind == "flips" else net, MODEL, **how)
    alone, shared = list(fuse()), list(fuse(workers=Workers.of(THREADS)))
    assert places(alone) == places(shared)
    assert torch.equal(assemble(scene, alone), assemble(scene, shared))


@pytest.mark.parametrize("method", ["GSA", "BT-H", "SR-D", "MTF-GLP-FS soft"])
def test_a_methods_pixels_are_those_of_one_thread(scene, method, monkeypatch):
    monkeypatch.setattr(classical_fuser, "CORE", 64)  # of the first passes
    fuse = partial(fuse_windows_classical, scene, METHODS[method], MODEL, core=64)
    alone, shared = list(fuse()), list(fuse(workers=Workers.of(THREADS)))
    assert places(alone) == places(shared)
    assert torch.equal(assemble(scene, alone), assemble(scene, shared))


def test_a_scenes_statistics_are_those_of_one_thread(scene, monkeypatch):
    monkeypatch.setattr(network_fuser, "scene_tiles", partial(scene_tiles, core=64))
    alone, shared = (
        scene_statistics(scene, MODEL, workers=workers) for workers in (ALONE, Workers.of(THREADS))
    )
    for one in fields(alone):
        assert torch.equal(getattr(alone, one.name), getattr(shared, one.name))


def test_few_windows_are_under_way(scene):
    """However slowly they are taken: as many as there are workers, and one that waits."""
    begun = []
    tiles = scene_tiles(scene, halo=0, core=32)
    windows = each_window(scene, tiles, lambda tile, _: begun.append(tile), Workers.of(2))
    for taken, _ in enumerate(windows, 1):
        assert len(begun) <= taken + 2
    assert len(tiles) == len(begun) == taken


def test_a_worker_computes_with_one_thread_and_without_gradients(scene):
    def settings(*_):
        return torch.get_num_threads(), torch.is_inference_mode_enabled()

    tiles = scene_tiles(scene, halo=0, core=64)
    with torch_threads(1):
        assert 1 == torch.get_num_threads()
    assert {(1, True)} == set(each_window(scene, tiles, settings, Workers.of(3)))


def test_workers_that_share_turns_are_no_more_than_they(scene):
    """Two runs side by side, as of two groups of bands."""
    workers, running, most = Workers.of(2), [], []
    gate = threading.Event()

    def work(tile, _):
        running.append(tile)
        most.append(len(running))
        gate.wait(0.01)
        running.remove(tile)

    tiles = scene_tiles(scene, halo=0, core=64)
    runs = [each_window(scene, tiles, work, workers) for _ in range(2)]
    for _ in zip(*runs, strict=True):
        pass
    assert 2 == max(most)


@pytest.mark.parametrize("error", [SceneError("no such window"), KeyboardInterrupt()])
def test_an_error_comes_at_its_windows_turn(scene, error):
    tiles = scene_tiles(scene, halo=0, core=64)

    def work(tile, _):
        if tile is tiles[3]:
            raise error
        return tile

    windows = each_window(scene, tiles, work, Workers.of(4))
    assert tiles[:3] == [next(windows) for _ in range(3)]
    with pytest.raises(type(error)) as caught:
        next(windows)
    assert caught.value is error


def test_who_stops_taking_windows_waits_for_those_under_way(scene):
    ended = []
    tiles = scene_tiles(scene, halo=0, core=32)
    windows = each_window(scene, tiles, lambda tile, _: ended.append(tile), Workers.of(2))
    next(windows)
    windows.close()
    count = len(ended)
    assert count <= 4
    assert not any(thread.name.startswith("fusing") for thread in threading.enumerate())


def test_torchs_switches_stay(scene):
    """Each window changes them, and puts back what it found."""
    net = random_network("anyband")
    with tf32(allowed=True):
        before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        statistics = scene_statistics(scene, MODEL, workers=Workers.of(3))
        list(fuse_windows(scene, net, MODEL, halo=16, core=64, statistics=statistics,
                          workers=Workers.of(3)))  # fmt: skip
        assert before == (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)

"""Windows fit the memory that is given."""

import math
from dataclasses import dataclass

import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.memory_plan import Cost, make_plan
from fusiontrain.fusion.window_loop import scene_tiles
from fusiontrain.scenes.scene import Scene


@dataclass(frozen=True)
class Method:
    """Ten bytes a PAN pixel and band, a halo of 20 PAN pixels."""

    largest: int = 4096

    @property
    def cost(self):
        return Cost(bytes_per_pixel=10, speed=1.0)

    def halo(self, ratio):
        return 20

    def largest_core(self, ratio):
        return self.largest

    def workers(self, threads):
        return threads


def scene(side=512):
    """`side` MS pixels a side, ratio 4; two bands."""
    zero = torch.zeros(1, 1, 1)
    return Scene(name="x", ms=zero.expand(2, side, side), pan=zero.expand(1, 4 * side, 4 * side))


def test_a_window_and_its_halo_fit_the_memory():
    plan = make_plan(scene(), Method(), memory=0.02)

    assert (plan.core + 2 * plan.halo) ** 2 * 10 * 2 <= 0.02 * 2**30
    assert plan.core == 768  # 1024 would take .021 GiB
    assert plan.windows == 9  # of 2048 PAN pixels a side
    assert plan.megapixels == 2048**2 / 1e6


def test_more_memory_gives_no_smaller_windows():
    cores = [make_plan(scene(), Method(), memory=gib).core for gib in (0.002, 0.02, 0.2, 2)]

    assert cores == sorted(cores)
    assert cores[-1] == 4096


def test_a_method_that_gains_nothing_from_large_windows_gets_none():
    assert make_plan(scene(), Method(largest=600), memory=2).core == 512


def test_a_given_window_is_kept():
    assert make_plan(scene(), Method(), memory=0.002, core=1000).core == 1000


def test_too_little_memory_is_refused_with_what_it_takes():
    with pytest.raises(SceneError, match=r"`memory=0.0001` GiB is too little .* at least 0.00021"):
        make_plan(scene(), Method(), memory=0.0001)
    assert make_plan(scene(), Method(), memory=0.00021).core == 64


@pytest.mark.parametrize(("side", "ratio", "bands"), [(64, 8, 32), (64, 6, 159), (300, 2, 250)])
def test_many_bands_fit_by_smaller_windows(side, ratio, bands):
    """The default memory is enough, and a scene smaller than a window takes what it has."""
    zero = torch.zeros(1, 1, 1)
    pan = zero.expand(1, ratio * side, ratio * side)
    many = Scene(name="x", ms=zero.expand(bands, side, side), pan=pan)
    for memory in (2.0, 0.5):
        plan = make_plan(many, Expensive(), memory=memory)
        assert plan.memory <= memory + 0.5
        assert plan.windows >= 1


@dataclass(frozen=True)
class Expensive(Method):
    """As a network: 140 bytes a PAN pixel and band."""

    @property
    def cost(self):
        return Cost(bytes_per_pixel=140, speed=1.0)


def test_a_scene_smaller_than_a_window_takes_its_own_memory():
    """The number in the refusal is that of this scene."""
    small = scene(20)  # 80 PAN pixels a side
    with pytest.raises(SceneError, match=r"at least 0.00012"):
        make_plan(small, Method(), memory=0.0001)
    assert make_plan(small, Method(), memory=0.00012).core == 4096


def test_threads_share_the_time():
    """All of it, but for halos of more windows."""
    one, four = (make_plan(scene(), Method(), memory=1, threads=n).seconds for n in (1, 4))

    assert 3.5 < one / four <= 4


def test_windows_of_all_threads_fit_the_memory():
    alone, shared = (make_plan(scene(), Method(), memory=0.1, threads=n) for n in (1, 8))

    assert (1, 8) == (alone.workers, shared.workers)
    assert shared.core < alone.core
    window = (shared.core + 2 * shared.halo) * (shared.across * shared.core + 2 * shared.halo)
    # A further one takes three quarters: it waits for the one that is written.
    assert (1 + 7 * 0.75) * window * 10 * 2 <= 0.1 * 2**30
    assert shared.memory <= 0.1 + 0.45


@pytest.mark.parametrize(("threads", "windows"), [(1, 1), (2, 4), (4, 4)])
def test_a_small_scene_is_cut_until_each_thread_has_a_window(threads, windows):
    plan = make_plan(scene(256), Method(), memory=2, threads=threads)

    assert windows == plan.windows
    assert threads == plan.workers


def test_a_wide_halo_makes_wide_windows_for_two_threads():
    """Half as many edges; the cores still cover the scene once."""
    plan = make_plan(scene(1024), Wide(), memory=2, threads=2)
    cores = [t.core for t in scene_tiles(scene(1024), halo=0, core=plan.core, across=plan.across)]

    assert (2, 2) == (plan.across, plan.workers)
    assert all(core.shape[1] == 2 * core.shape[0] for core in cores)
    assert 1024**2 == sum(math.prod(core.shape) for core in cores)


@dataclass(frozen=True)
class Wide(Method):
    """120 bytes a PAN pixel and band, a halo of 152 PAN pixels."""

    @property
    def cost(self):
        return Cost(bytes_per_pixel=120, speed=1.0)

    def halo(self, ratio):
        return 152


def test_threads_that_memory_or_windows_do_not_suffice_for_are_left_out():
    assert 2 == make_plan(scene(), Method(), memory=0.05, core=1000, threads=8).workers
    assert 1 == make_plan(scene(20), Method(), memory=0.05, threads=8).workers
    assert 1 == make_plan(scene(), Method(), memory=0.0003, threads=8).workers

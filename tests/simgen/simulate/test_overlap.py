"""What a worker does beside a GPU, done on the CPU: kept pipelines, threads, steps ahead."""

import time
from dataclasses import replace

import numpy as np
import pytest

from simgen.building import build as building
from simgen.building import shard
from simgen.errors import BuildError
from simgen.recipes import find_recipe
from simgen.simulate import dali_graph, dali_pipelines, dispatch
from simgen.simulate.overlap import one_ahead
from tests.simgen.simulate.test_dispatch import images, jobs_of  # noqa: F401 - a fixture


def test_a_kept_pipeline_makes_what_a_fresh_one_makes(images, monkeypatch):  # noqa: F811
    """Three runs, of other lengths each, with a GPU's depth: one pipeline is built."""
    recipe = find_recipe("sensor").with_fields(
        tile=64, moving_chance=0, local_shift_chance=0, physical=1.0
    )
    every = jobs_of([images[i % 3] for i in range(19)], recipe, 4)
    runs = [every[:9], every[9:10], every]
    monkeypatch.setitem(dali_pipelines._DEPTH, "cpu", dali_pipelines._DEPTH["gpu"])
    monkeypatch.setattr(dali_pipelines, "_shape", lambda jobs, name: (3, 72))
    fresh = [list(dali_pipelines.observe_in_graph(jobs, recipe, device="cpu")) for jobs in runs]
    monkeypatch.setitem(dali_pipelines._KEPT, "cpu", 1)
    built = []
    graph = dali_graph.graph
    monkeypatch.setattr(dali_graph, "graph", lambda **k: built.append(k) or graph(**k))

    kept = [list(dali_pipelines.observe_in_graph(jobs, recipe, device="cpu")) for jobs in runs]

    dali_pipelines._kept.clear()
    assert 1 == len(built)
    for one, two in zip(fresh, kept, strict=True):
        assert len(one) == len(two)
        for made, others in zip(one, two, strict=True):
            for image, other in zip(made, others, strict=True):
                np.testing.assert_array_equal(image, other)


def test_a_pipeline_that_failed_is_not_kept(images, monkeypatch):  # noqa: F811
    recipe = replace(find_recipe("sensor"), tile=64)
    (job,) = jobs_of(images[:1], recipe, 3)
    monkeypatch.setitem(dali_pipelines._KEPT, "cpu", 1)

    with pytest.raises(dispatch.DecodeError):
        list(dali_pipelines.read_crops([replace(job, image=job.image[:2000])], device="cpu"))

    assert not dali_pipelines._kept
    assert 1 == len(list(dali_pipelines.read_crops([job], device="cpu")))
    dali_pipelines._kept.clear()


def test_the_hosts_threads_change_no_byte(images, monkeypatch):  # noqa: F811
    """As beside a GPU: samples finished in threads, in any order, come out in theirs."""
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of([images[i % 3] for i in range(9)], recipe, 4)
    alone = dispatch.run(jobs, recipe, device="cpu")
    monkeypatch.setattr(dispatch, "host_threads", lambda device: 3)

    beside = dispatch.run(jobs, recipe, device="cpu")

    for one, two in zip(alone, beside, strict=True):
        for image, other in zip(one, two, strict=True):
            np.testing.assert_array_equal(image, other)


def test_a_step_ahead_keeps_order_and_errors():
    """The next is made before the caller asks; an error comes where it would have come."""
    made = []

    def items():
        for i in range(3):
            made.append(i)
            yield i
        raise BuildError("at the end")

    ahead = one_ahead(items(), threads=True)
    first = next(ahead)
    for _ in range(200):
        if len(made) > 1:
            break
        time.sleep(0.01)

    assert (0, [0, 1]) == (first, made)
    assert [1, 2] == [next(ahead), next(ahead)]
    with pytest.raises(BuildError, match="at the end"):
        next(ahead)


def test_a_build_of_a_gpus_order_has_the_cpus_bytes(small_build_of, photos, tmp_path, monkeypatch):
    """The stages of a GPU's build overlap; where the CPU simulates for it, no byte differs."""
    monkeypatch.setattr(shard, "_AT_ONCE", 3)
    folders = tmp_path / "plain", tmp_path / "overlapped"
    building.run_build(small_build_of("folder", photos, folders[0]), workers=1)
    monkeypatch.setattr(shard, "one_ahead", lambda items, threads: one_ahead(items, threads=True))
    monkeypatch.setattr(dispatch, "host_threads", lambda device: 2)

    building.run_build(small_build_of("folder", photos, folders[1]), workers=1)

    tars = [sorted(folder.glob("*.tar")) for folder in folders]
    assert tars[0]
    assert [t.read_bytes() for t in tars[0]] == [t.read_bytes() for t in tars[1]]

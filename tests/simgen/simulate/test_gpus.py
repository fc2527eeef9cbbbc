"""What can be known of the GPU's way without a GPU: drivers, messages, schemas, the graph."""

import ctypes
import multiprocessing
import os
from dataclasses import replace

import numpy as np
import pytest
from nvidia.dali import backend, pipeline

from simgen.building import build as building
from simgen.building import shard, worker_pool
from simgen.errors import BuildError
from simgen.recipes import find_recipe
from simgen.simulate import dali_graph, dali_pipelines, dispatch, gpus
from tests.simgen.simulate.test_dispatch import images, jobs_of  # noqa: F401 - a fixture


class Driver:
    """libcuda.so.1 of a machine: its cuInit() status, its GPUs, its CUDA version."""

    def __init__(self, status=0, count=1, version=13000):
        self.status, self.count, self.version = status, count, version

    def cuInit(self, flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = self.count
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = self.version
        return 0


def test_a_missing_driver_is_reported_before_anything_is_written(
    monkeypatch, small_build_of, photos, tmp_path
):
    """Before a worker starts or an image is read: nothing of the build's folder is there."""

    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    build = small_build_of("folder", photos, tmp_path / "s", device="gpu")

    with pytest.raises(BuildError, match=r"needs NVIDIA's driver.*\n.*`device=cpu`"):
        building.run_build(build, workers=2)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (Driver(status=100), "finds no GPU here .status 100"),
        (Driver(count=0), "finds no GPU here"),
        (Driver(version=12080), r"driver is for CUDA 12.8; DALI needs 13.0\n.*driver 580"),
    ],
    ids=["no device", "hidden", "old"],
)
def test_a_driver_that_does_not_do_is_refused(monkeypatch, driver, message):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)

    with pytest.raises(BuildError, match=message):
        gpus.count_gpus()


def test_gpus_are_counted(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(count=4))

    assert 4 == gpus.count_gpus()


def test_workers_take_the_gpus_in_turn(monkeypatch):
    """Five workers on two GPUs; a pipeline's options name the worker's own."""
    started = multiprocessing.get_context("spawn").Value("i", 0)
    monkeypatch.setattr(worker_pool, "ignore_signals", lambda: None)
    monkeypatch.setattr(worker_pool, "_die_with_parent", lambda parent: None)
    monkeypatch.setattr(gpus, "_own", 0)
    monkeypatch.setattr(gpus, "_workers", 1)

    devices = []
    for _ in range(5):
        worker_pool._start_worker(os.getpid(), started, 2, 5)
        devices.append(dali_pipelines._options("gpu", 1)["device_id"])

    assert [0, 1, 0, 1, 0] == devices
    assert dali_pipelines._options("cpu", 1)["device_id"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Error in MIXED operator\nCUDA allocation failed\nCurrent pipeline", "too little memory"),
        ("CUDA driver API error CUDA_ERROR_OUT_OF_MEMORY (2):", "too little memory"),
        ("nvImageCodec failure: '#5'", "too little memory"),
        ("CUDA runtime API error cudaErrorIllegalAddress (700):", "or its driver failed"),
        ('Assert on "cuInitChecked()" failed: ... CUDA is not available.', "or its driver failed"),
        ("nvImageCodec failure: '#21'", "or its driver failed"),
    ],
)
def test_faults_of_the_gpu_are_not_taken_for_bad_images(text, message):
    with pytest.raises(BuildError, match=message):
        gpus.refuse_gpu_fault(text)


def test_a_bad_image_is_no_fault_of_the_gpu(images):  # noqa: F811
    """DALI's own message of a cut JPEG, and the codes that speak of the stream."""
    gpus.refuse_gpu_fault("nvImageCodec failure: '#4'")
    (job,) = jobs_of(images[:1], replace(find_recipe("sensor"), tile=64), 3)

    assert not dispatch.can_decode(job.image[:2000], job.draw.crop)


def test_dali_without_a_gpu_is_a_fault_of_the_machine(images, monkeypatch):  # noqa: F811
    """The device's own decoder is asked, so the lack of it is said; no image is blamed."""
    if backend.GetCUDADeviceCount():
        pytest.skip("a GPU is here")
    (job,) = jobs_of(images[:1], replace(find_recipe("sensor"), tile=64), 3)

    with pytest.raises(BuildError, match="GPU 0 or its driver failed"):
        dispatch.can_decode(job.image, job.draw.crop, device="gpu")


def test_the_culprit_is_sought_with_the_builds_own_decoder(
    monkeypatch, small_build_of, photos, tmp_path
):
    asked = []

    def failing(jobs, recipe, *, device, threads=1):
        raise dispatch.DecodeError("one of them")

    def can_decode(image, crop, *, device):
        asked.append(device)
        return True

    monkeypatch.setattr(shard, "run", failing)
    monkeypatch.setattr(shard, "can_decode", can_decode)
    build = small_build_of("folder", photos, tmp_path / "s", device="gpu")

    with pytest.raises(BuildError, match="on no single image"):
        shard._run([(None, job) for job in _jobs(photos)], build)
    assert {"gpu"} == set(asked)


def _jobs(photos):
    data = (photos / "p0.jpg").read_bytes()
    return jobs_of([data], replace(find_recipe("sensor"), tile=64), 4)


def test_mixed_decoding_makes_the_cpus_pixels_whatever_the_company(monkeypatch):
    """Chroma interpolated as on the CPU; no share of a batch to the JPEG engine. DALI's schema
    knows both, and both are off its defaults.
    """
    given = {}
    monkeypatch.setattr(
        dali_graph.fn.decoders, "image_slice", lambda *a, **kwargs: given.update(kwargs)
    )
    schema = backend.GetSchema("decoders__ImageSlice")

    dali_graph.decode(None, None, None, "gpu")

    assert "mixed" == given["device"]
    assert given["jpeg_fancy_upsampling"] is True
    assert 0 == given["hw_decoder_load"]
    assert set(given) - {"device"} <= set(schema.GetArgumentNames())
    assert "False" == schema.GetArgumentDefaultValueString("jpeg_fancy_upsampling")


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("physical", [False, True])
def test_the_graph_is_built_for_the_gpu(physical, hidden):
    """Not run. Every operator of it exists for the device on which it is placed."""
    graph = pipeline.Pipeline(batch_size=8, num_threads=1, device_id=0, exec_dynamic=True)
    with graph:
        outputs = dali_graph.graph.__wrapped__(
            feed=lambda _: None,
            tile=256,
            oversample=2,
            ratio=4,
            bands=8,
            shapes=((1, 13), (2, 41), (1, 13)),
            physical=physical,
            hidden=hidden,
            device="gpu",
        )
    assert ["gpu"] * 3 == [out.device for out in outputs]
    registered = {
        "cpu": set(backend.RegisteredCPUOps()),
        "gpu": set(backend.RegisteredGPUOps()),
        "mixed": set(backend.RegisteredMixedOps()),
    }
    operators = placed(outputs)

    assert len(operators) > 100
    assert [(n, d) for n, d in operators if n not in registered[d]] == []
    assert {"mixed"} == {d for n, d in operators if n == "decoders__ImageSlice"}


def placed(outputs):
    """(schema's name, device) of every operator that the outputs depend on."""
    found, waiting, done = [], [out.source for out in outputs], set()
    while waiting:
        op = waiting.pop()
        if id(op) in done or op is None:
            continue
        done.add(id(op))
        if hasattr(op._op, "schema_name"):  # not the external source, which is Python's
            found.append((op._op.schema_name, op._op.device))
        waiting += [edge.source for edge in op.inputs]
    return found


@pytest.mark.parametrize("count", [1, 8, 9, 17, 20])
def test_batches_in_flight_change_no_pixel(images, monkeypatch, count):  # noqa: F811
    """As many as on a GPU: none is lost, doubled or left waiting at the end."""
    recipe = find_recipe("sensor").with_fields(tile=64, moving_chance=0, local_shift_chance=0)
    jobs = jobs_of([images[i % 3] for i in range(count)], recipe, 4)
    one = list(dali_pipelines.observe_in_graph(jobs, recipe, device="cpu"))
    monkeypatch.setitem(dali_pipelines._DEPTH, "cpu", dali_pipelines._DEPTH["gpu"])

    two = list(dali_pipelines.observe_in_graph(jobs, recipe, device="cpu"))

    assert 1 < dali_pipelines._DEPTH["gpu"]
    assert count == len(two)
    for made, others in zip(one, two, strict=True):
        for image, other in zip(made, others, strict=True):
            np.testing.assert_array_equal(image, other)


def test_threads_are_the_workers_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(gpus, "_own", 0)

    gpus.use_gpu(0, workers=6)
    six = gpus.host_threads("gpu"), gpus.host_threads("cpu")
    gpus.use_gpu(0, workers=40)
    forty = gpus.host_threads("gpu")
    gpus.use_gpu(0)

    assert ((2, 0), 1, 16) == (six, forty, gpus.host_threads("gpu"))

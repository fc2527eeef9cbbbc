"""DALI against its slow reference, and against traps that DALI is known to have."""

import gc
import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from nvidia.dali import backend, fn, pipeline_def, types
from PIL import Image
from threadpoolctl import threadpool_limits

from simgen.recipes import find_recipe
from simgen.sampling import sample_parameters
from simgen.simulate import dali_pipelines, dispatch, numpy_reference
from simgen.simulate.numpy_engine import finish


def jobs_of(images, recipe, bands):
    jobs = []
    for i, data in enumerate(images):
        width, height = Image.open(io.BytesIO(data)).size
        draw = sample_parameters(
            recipe, bands=bands, seed=0, key=str(i), height=height, width=width
        )
        jobs.append(dispatch.Job(image=data, draw=draw))
    return jobs


@pytest.fixture
def images(make_jpeg):
    return [make_jpeg(300, 400, 1), make_jpeg(150, 210, 2), make_jpeg(420, 260, 3)]


@pytest.mark.parametrize("physical", [False, True])
@pytest.mark.parametrize(("name", "bands", "tile"), [("sensor", 4, 128), ("sensor", 13, 64)])
def test_the_graph_does_what_the_reference_says(images, name, bands, tile, physical):
    """DALI on the CPU: every pixel within one DN (float32 order of sums), nearly all equal."""
    recipe = find_recipe(name).with_fields(
        tile=tile,
        moving_chance=0,
        local_shift_chance=0,
        physical=physical,
        shadow_chance=0.6,
        shadow=(0.1, 0.5),
    )
    jobs = jobs_of(images, recipe, bands)
    jobs[0] = replace(jobs[0], draw=replace(jobs[0].draw, shadows=()))
    assert {False, True} == {bool(job.draw.shadows) for job in jobs}
    crops = dali_pipelines.read_crops(jobs, device="cpu")
    seen = dali_pipelines.observe_in_graph(jobs, recipe, device="cpu")

    for job, crop, images_ in zip(jobs, crops, seen, strict=True):
        made = finish(*images_, job.draw, recipe)
        for image, expected in zip(
            made, numpy_reference.simulate(crop, job.draw, recipe), strict=True
        ):
            assert expected.shape == image.shape
            difference = np.abs(expected.astype(int) - image.astype(int))
            # A block of JPEG may round a coefficient the other way: half a step, not one DN.
            assert difference.max() <= max(1, job.draw.compression * 2**job.draw.bits)
            assert (difference > 0).mean() < 0.02


def test_crops_are_pillows(images):
    """Decode, crop and antialiased resize against Pillow."""
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of(images, recipe, 3)

    for job, crop in zip(jobs, dali_pipelines.read_crops(jobs, device="cpu"), strict=True):
        row, column, h, w = job.draw.crop
        photograph = Image.open(io.BytesIO(job.image)).convert("RGB")
        cut = photograph.crop((column, row, column + w, row + h))
        expected = np.asarray(cut.resize(job.draw.resized[::-1], Image.Resampling.BILINEAR))
        difference = np.abs(expected - crop.astype(float)) / 255
        assert difference.mean() < 0.004
        assert difference.max() < 0.08


def test_bands_enter_as_they_are(images):
    """Four-band input: resized as floats, mixed over its own bands, no colour jitter."""
    recipe = find_recipe("sensor").with_fields(tile=64, jitter_chance=1.0, zoom=(1.0, 1.0))
    image = np.random.default_rng(0).random((200, 210, 4), dtype=np.float32)
    draw = sample_parameters(recipe, bands=6, seed=0, key="a", height=200, width=210, channels=4)
    job = dispatch.Job(image=image, draw=draw)

    (crop,) = dali_pipelines.read_crops([job], device="cpu")
    (gt, ms, pan) = dispatch.run([job, *jobs_of(images, recipe, 6)], recipe, device="cpu")[0]

    row, column, h, w = draw.crop
    assert draw.jitter is None
    np.testing.assert_allclose(image[row : row + h, column : column + w], crop, atol=1e-6)
    for image, expected in zip(
        (gt, ms, pan), numpy_reference.simulate(crop, draw, recipe), strict=True
    ):
        assert np.abs(expected.astype(int) - image.astype(int)).max() <= 1


def test_a_sample_does_not_depend_on_its_company(images):
    """Alone, in a batch, in another order: the same bytes."""
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of([*images, *images, *images, images[0]], recipe, 4)

    together = dispatch.run(jobs, recipe, device="cpu", threads=2)
    alone = dispatch.run(jobs[4:5], recipe, device="cpu")
    backwards = dispatch.run(jobs[::-1], recipe, device="cpu")

    for image, other, third in zip(together[4], alone[0], backwards[-5], strict=True):
        np.testing.assert_array_equal(image, other)
        np.testing.assert_array_equal(image, third)


def test_a_sample_does_not_depend_on_blas_threads(images):
    """One machine has two cores, another sixty-four."""
    recipe = replace(find_recipe("sensor"), tile=256)
    jobs = jobs_of(images, recipe, 4)

    made = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            made.append(dispatch.run(jobs, recipe, device="cpu"))

    for one, two in zip(*made, strict=True):
        for image, other in zip(one, two, strict=True):
            np.testing.assert_array_equal(image, other)


def test_a_bad_image_ends_the_pipeline_with_our_error(images):
    """build_shard relies on it to look for the culprit."""
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of(images, recipe, 3)
    cut = replace(jobs[1], image=jobs[1].image[:2000])

    with pytest.raises(dispatch.DecodeError):
        dispatch.run([jobs[0], cut], recipe, device="cpu")
    assert dispatch.can_decode(jobs[0].image, jobs[0].draw.crop)
    assert not dispatch.can_decode(cut.image, cut.draw.crop)


def test_a_pipeline_lets_go_of_what_it_was_fed(images):
    """It lies in cycles, which Python collects late: a shard's images must not lie there too."""
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of([*images, *images, *images], recipe, 4)
    gc.disable()
    try:
        before = [sys.getrefcount(job) for job in jobs]
        dispatch.run(jobs, recipe, device="cpu")
        after = [sys.getrefcount(job) for job in jobs]
    finally:
        gc.enable()

    assert before == after


def test_dali_still_slices_wrongly_with_a_step():
    """The reason why _observe reshapes. When this fails, DALI was mended: slice again."""
    image = np.random.default_rng(0).random((4, 512, 512)).astype(np.float32)

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        data = fn.external_source(source=lambda: [image], dtype=types.FLOAT)
        return data[:, ::2], fn.reinterpret(data, shape=[4, 256, 2, 512])[:, :, 0]

    pipe = graph()
    pipe.build()
    sliced, reshaped = (np.array(o.at(0)) for o in pipe.run())

    assert not np.array_equal(image[:, ::2], sliced)
    np.testing.assert_array_equal(image[:, ::2], reshaped)


@pytest.fixture
def gpu():
    """Skips where DALI itself finds no GPU."""
    if not backend.GetCUDADeviceCount():
        pytest.skip("DALI finds no CUDA device")


def assert_within_one_dn(made, expected, draw):
    """Each pixel, or half a step of a compressed one; nearly all are equal."""
    for image, other in zip(made, expected, strict=True):
        difference = np.abs(image.astype(int) - other.astype(int))
        assert difference.max() <= max(1, draw.compression * 2**draw.bits)
        assert (difference > 0).mean() < 0.02


@pytest.mark.gpu
@pytest.mark.parametrize("physical", [False, True])
def test_the_graph_is_the_same_on_both_devices(images, gpu, physical):
    """Crops without loss, so that decoders agree: the graph's own arithmetic."""
    recipe = find_recipe("sensor").with_fields(
        tile=64, moving_chance=0, local_shift_chance=0, physical=physical
    )
    jobs = [replace(job, image=as_png(job.image)) for job in jobs_of(images, recipe, 4)]

    both = [dispatch.run(jobs, recipe, device=device) for device in ("cpu", "gpu")]

    for job, cpu, made in zip(jobs, *both, strict=True):
        assert_within_one_dn(made, cpu, job.draw)


def as_png(data):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "form",
    [
        {"subsampling": 0},
        {"subsampling": 1},
        {"subsampling": 2},
        {"subsampling": 2, "progressive": True},
    ],
    ids=["444", "422", "420", "progressive"],
)
def test_jpegs_decode_alike_on_both_devices(images, gpu, form):
    """Crops on the stored grid: to two levels of 255 (nvJPEG rounds its cosine transform)."""
    recipe = find_recipe("sensor").with_fields(tile=64, zoom=(1.0, 1.0))
    jobs = []
    for job in jobs_of(images, recipe, 4):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(job.image)).save(buffer, "JPEG", quality=90, **form)
        jobs.append(replace(job, image=buffer.getvalue()))

    cpu, made = (list(dali_pipelines.read_crops(jobs, device=device)) for device in ("cpu", "gpu"))

    for one, other in zip(cpu, made, strict=True):
        difference = np.abs(one.astype(int) - other.astype(int))
        assert difference.max() <= 2
        assert (difference > 0).mean() < 0.2


@pytest.mark.gpu
def test_a_sample_of_the_gpu_does_not_depend_on_its_company(images, gpu):
    """Alone, in a batch, reversed, and made again: the same bytes."""
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of([*images, *images, *images, images[0]], recipe, 4)

    together, again, backwards, alone = (
        dispatch.run(some, recipe, device="gpu") for some in (jobs, jobs, jobs[::-1], jobs[4:5])
    )

    for image, *others in zip(together[4], again[4], backwards[-5], alone[0], strict=True):
        for other in others:
            np.testing.assert_array_equal(image, other)


@pytest.mark.gpu
def test_a_bad_image_of_the_gpu_is_found(images, gpu):
    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of(images, recipe, 3)
    cut = replace(jobs[1], image=jobs[1].image[:2000])

    with pytest.raises(dispatch.DecodeError):
        dispatch.run([jobs[0], cut], recipe, device="gpu")
    assert dispatch.can_decode(jobs[0].image, jobs[0].draw.crop, device="gpu")
    assert not dispatch.can_decode(cut.image, cut.draw.crop, device="gpu")

"""All that DALI computes: the only file that imports nvidia.dali.

Reading crops serves every device. The whole graph, up to blur and decimation, is for the GPU,
and runs on the CPU too, where tests hold it to numpy_reference.py. DALI draws no random number.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from nvidia.dali import fn, math, pipeline_def, types

from simgen.config import Recipe
from simgen.physics.spectral import FLOOR, MATERIALS, NUM_FEATURES
from simgen.simulate.dali_inputs import (
    BATCH,
    CROP_TYPES,
    GRAPH_INPUTS,
    Shapes,
    decoded_row,
    encoded_row,
    feeder,
    graph_row,
)
from simgen.simulate.gpus import own_gpu, refuse_gpu_fault
from simgen.simulate.job import Arrays, DecodeError, Device, Job

_TYPES = {np.uint8: types.UINT8, np.int32: types.INT32, np.float32: types.FLOAT}


def read_crops(jobs: Sequence[Job], *, device: Device, threads: int = 1) -> Iterator[np.ndarray]:
    """Each job's crop on the scene grid: (h, w, 3) uint8, or float32 where bands were given."""
    if not jobs:
        return
    decoded = isinstance(jobs[0].image, np.ndarray)
    pipe = _crops(
        feed=feeder(jobs, decoded_row if decoded else encoded_row),
        decoded=decoded,
        device=device,
        **_options(device, threads),
    )
    yield from (crop for (crop,) in _run(pipe, len(jobs)))


def observe_in_graph(
    jobs: Sequence[Job], recipe: Recipe, *, device: Device, threads: int = 1
) -> Iterator[Arrays]:
    """observe_scene() of numpy_engine.py in DALI: float32 gt, ms, pan.

    Jobs: all of them physical or none; without movers and local shifts, which it leaves out.
    """
    if not jobs:
        return
    # All samples of a run in one shape: zeros stand for what a sample lacks, and change no sum.
    shapes = tuple(
        tuple(max(getattr(job.draw.optics, name).shape[axis] for job in jobs) for axis in (1, 3))
        for name in ("gt", "ms", "pan")
    )
    hidden = any(job.draw.rows_DF.shape[0] > job.draw.bands for job in jobs)
    pipe = _graph(
        feed=feeder(jobs, lambda job: graph_row(job, recipe, shapes, hidden=hidden)),
        recipe=recipe,
        bands=jobs[0].draw.bands,
        shapes=shapes,
        physical=jobs[0].draw.optics.physical,
        hidden=hidden,
        device=device,
        **_options(device, threads),
    )
    yield from ((gt, ms, pan) for gt, ms, pan in _run(pipe, len(jobs)))


def can_decode(
    image: bytes | np.ndarray, crop: tuple[int, int, int, int], *, device: Device = "cpu"
) -> bool:
    """Whether the device's own decoder takes this one image; costs a pipeline.

    Raises: BuildError where the GPU failed, not the image.
    """
    if isinstance(image, np.ndarray):
        return True

    @pipeline_def
    def single() -> Any:
        source = [np.frombuffer(image, np.uint8)]
        data = fn.external_source(source=lambda: source, dtype=types.UINT8)
        return _decode(data, np.array(crop[:2]), np.array(crop[2:]), device)

    try:
        pipe = single(**_options(device, 1) | {"batch_size": 1, "prefetch_queue_depth": 1})
        pipe.build()
        pipe.run()
    except RuntimeError as error:
        refuse_gpu_fault(str(error))
        return False
    return True


# Batches in flight. On a GPU the next one runs while the host finishes the samples of this one.
_DEPTH: dict[Device, int] = {"cpu": 1, "gpu": 2}


def _options(device: Device, threads: int) -> dict[str, Any]:
    return {
        "batch_size": BATCH,
        "num_threads": threads,
        "device_id": None if device == "cpu" else own_gpu(),
        "prefetch_queue_depth": _DEPTH[device],
    }


def _run(pipe: Any, count: int) -> Iterator[tuple[np.ndarray, ...]]:
    try:
        pipe.build()
        for _ in range(0, count, BATCH):
            outputs = [out.as_cpu() for out in pipe.run()]
            yield from (
                tuple(np.array(out.at(i)) for out in outputs) for i in range(len(outputs[0]))
            )
    except RuntimeError as error:
        refuse_gpu_fault(str(error))
        raise DecodeError(str(error)) from error


@pipeline_def
def _crops(*, feed: Callable[..., list[list[np.ndarray]]], decoded: bool, device: str) -> Any:
    if decoded:
        crop, resized = fn.external_source(
            source=feed,
            num_outputs=2,
            batch=True,
            dtype=[types.FLOAT, types.FLOAT],
            layout=["HWC", ""],
        )
        return (fn.resize(crop, size=resized, dtype=types.FLOAT),)
    data, anchor, shape, resized = fn.external_source(
        source=feed, num_outputs=4, batch=True, dtype=[_TYPES[kind] for kind in CROP_TYPES]
    )
    crop = _decode(data, anchor, shape, device)
    return (fn.resize(crop, size=resized, dtype=types.UINT8),)


@pipeline_def
def _graph(
    *,
    feed: Callable[..., list[list[np.ndarray]]],
    recipe: Recipe,
    bands: int,
    shapes: Shapes,
    physical: bool,
    hidden: bool,
    device: str,
) -> Any:
    columns = fn.external_source(
        source=feed,
        num_outputs=len(CROP_TYPES) + len(GRAPH_INPUTS),
        batch=True,
        dtype=[_TYPES[kind] for kind in (*CROP_TYPES, *(kind for _, kind in GRAPH_INPUTS))],
    )
    crop = fn.resize(
        _decode(columns[0], columns[1], columns[2], device), size=columns[3], dtype=types.UINT8
    )
    names = [name for name, _ in GRAPH_INPUTS]
    x = dict(zip(names, columns[len(CROP_TYPES) :], strict=True))
    move = (lambda data: data.gpu()) if device == "gpu" else (lambda data: data)
    tile, fine, total = recipe.tile, recipe.tile * recipe.oversample, bands + int(hidden)

    scene = _placed(_retouched(crop, x, move), x, fine)
    light = math.pow(scene, move(x["gamma"]))
    mixed = math.max(_matrix(_features(light), x["rows"], x["offset"], NUM_FEATURES, total), 0.0)
    mixed = mixed * _reflectances(light, x, total)
    pan_scene = math.max(_matrix(mixed, x["pan_rows"], x["pan_offset"], total, 1), 0.0)

    planes = fn.transpose(mixed, perm=[2, 0, 1])
    frames = fn.reinterpret(planes[:bands] if hidden else planes, layout="FHW")
    pan_frames = fn.reinterpret(pan_scene, shape=[1, fine, fine], layout="FHW")
    contrast = fn.reductions.std_dev(pan_frames, fn.reductions.mean(pan_frames))
    pan_frames = pan_frames + fn.reinterpret(move(x["texture"]), layout="FHW") * contrast
    gt = _observe(frames, move(x["gt"]), shapes[0], fine, recipe.oversample)
    if physical:
        ms = _observe(frames, move(x["ms"]), shapes[1], fine, recipe.oversample * recipe.ratio)
    else:
        ms = _observe(gt, move(x["ms"]), shapes[1], tile, recipe.ratio)
    return gt, ms, _observe(pan_frames, move(x["pan"]), shapes[2], fine, recipe.oversample)


def _decode(image: Any, anchor: Any, shape: Any, device: str) -> Any:
    # "mixed" interpolates chroma as "cpu" does. Without the GPU's JPEG engine, which takes a
    # share of each batch and makes other pixels: a sample would depend on its company.
    return fn.decoders.image_slice(
        image,
        anchor,
        shape,
        axis_names="HW",
        normalized_anchor=False,
        normalized_shape=False,
        adjust_orientation=False,  # crops are drawn on the stored grid
        output_type=types.RGB,
        jpeg_fancy_upsampling=True,
        hw_decoder_load=0.0,
        device="mixed" if device == "gpu" else "cpu",
    )


def _retouched(crop: Any, x: dict[str, Any], move: Callable[[Any], Any]) -> Any:
    """retouched() of numpy_engine.py on RGB: colour jitter, high-pass, 8 bits again."""
    coloured = fn.coord_transform(
        fn.cast(crop, dtype=types.FLOAT), M=x["jitter"], T=x["jitter_offset"]
    )
    coloured = math.clamp(coloured, 0.0, 255.0)
    crisper = fn.filter(coloured, move(x["sharpen"]), border="reflect_1001")
    return fn.cast(math.clamp(crisper, 0.0, 255.0), dtype=types.UINT8)


def _placed(crop: Any, x: dict[str, Any], size: int) -> Any:
    """The crop extended by mirroring, placed and flipped: HWC float in 0..1."""
    wide = fn.cat(crop, fn.flip(crop, horizontal=1), axis=1)
    extended = fn.cat(wide, fn.flip(wide, horizontal=0, vertical=1), axis=0)
    placed = fn.slice(
        extended,
        x["corner"],
        [size, size],
        axis_names="HW",
        normalized_anchor=False,
        normalized_shape=False,
    )
    flipped = fn.flip(placed, horizontal=x["flip_h"], vertical=x["flip_v"])
    return fn.cast(flipped, dtype=types.FLOAT) * (1.0 / 255.0)


def _features(light: Any) -> Any:
    """features() of physics/spectral.py, HWC."""
    red, green, blue = (light[:, :, c : c + 1] for c in range(3))
    vegetation = math.max(green - (red + blue) * 0.5, 0.0) / math.sqrt(green + red + FLOOR)
    water = math.max(blue - red, 0.0) / math.sqrt(blue + red + FLOOR)
    return fn.cat(light, vegetation, water, axis=2)


def _reflectances(light: Any, x: dict[str, Any], total: int) -> Any:
    """reflectances() of physics/spectral.py, HWC."""
    root = math.sqrt(math.max(light, 0.0))
    logits = _matrix(root, x["logits"], x["logits_offset"], 3, MATERIALS)
    share = math.exp(logits - fn.reductions.max(logits, axes=[2], keep_dims=True))
    share = share / fn.reductions.sum(share, axes=[2], keep_dims=True)
    return _matrix(share, x["tints"], None, MATERIALS, total)


_WIDEST = 6  # channels coord_transform takes, in or out


def _matrix(image: Any, rows: Any, offset: Any, num_in: int, num_out: int) -> Any:
    """Rows @ channels + offset for HWC data, in the widest pieces coord_transform takes."""
    outputs = []
    for first in range(0, num_out, _WIDEST):
        last = min(first + _WIDEST, num_out)
        parts = []
        for start in range(0, num_in, _WIDEST):
            stop = min(start + _WIDEST, num_in)
            whole = (start, stop) == (0, num_in)
            shift = {"T": offset[first:last]} if start == 0 and offset is not None else {}
            piece = image if whole else image[:, :, start:stop]
            parts.append(fn.coord_transform(piece, M=rows[first:last, start:stop], **shift))
        outputs.append(sum(parts[1:], parts[0]))
    return outputs[0] if len(outputs) == 1 else fn.cat(*outputs, axis=2)


def _observe(frames: Any, kernels: Any, shape: tuple[int, ...], size: int, step: int) -> Any:
    """observe_kernels() of physics/mtf.py: one kernel a frame, its terms one after another."""
    terms, num_taps = shape
    seen = [
        _observe_term(frames, kernels[:, term, 0], kernels[:, term, 1], num_taps, size, step)
        for term in range(terms)
    ]
    return sum(seen[1:], seen[0])


def _observe_term(frames: Any, down: Any, along: Any, num_taps: int, size: int, step: int) -> Any:
    """Separable blur, then every step-th pixel.

    Decimation reshapes instead of slicing with a step: DALI 2.4.0 returns wrong pixels for
    x[:, ::2] of large arrays (tests/simgen/simulate/test_dispatch.py shows it).
    """
    taps_vertical = fn.reinterpret(fn.expand_dims(down, axes=2), layout="FHW")
    taps_horizontal = fn.reinterpret(fn.expand_dims(along, axes=1), layout="FHW")
    # The anchor is the tap that meets the first of the step pixels of a coarse one.
    pad = (num_taps - step) // 2
    border = "reflect_1001"
    rows = fn.filter(frames, fn.per_frame(taps_vertical), anchor=[pad, 0], border=border)
    if step > 1:
        rows = fn.reinterpret(rows, shape=[-1, size // step, step, size], layout="")[:, :, 0]
        rows = fn.reinterpret(rows, layout="FHW")
    seen = fn.filter(rows, fn.per_frame(taps_horizontal), anchor=[0, pad], border=border)
    if step > 1:
        shape = [-1, size // step, size // step, step]
        seen = fn.reinterpret(
            fn.reinterpret(seen, shape=shape, layout="")[:, :, :, 0], layout="FHW"
        )
    return seen

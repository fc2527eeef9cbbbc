"""The DALI graph: encoded photographs and draws in, gt, ms and pan out.

The only file that imports nvidia.dali. The graph is written once; `device` is its
parameter. All dice are numpy's (draws.py); DALI only computes. twin.py is its slow twin.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from nvidia.dali import fn, math, pipeline_def, types

from simgen.config import Recipe
from simgen.draws import Draw, draw_fields

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # gt, ms, pan
BATCH = 8  # fixed: memory, not results, depends on it


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One sample to make."""

    image: bytes
    draw: Draw


class DecodeError(Exception):
    """DALI refused a batch; some image in it is at fault."""


def run(
    jobs: Sequence[Job], recipe: Recipe, *, device: Literal["cpu", "gpu"], threads: int = 1
) -> list[Arrays]:
    """All samples of `jobs`, in order, from a fresh pipeline.

    Raises: DecodeError if DALI rejects any image: a pipeline cannot skip a sample.
    """
    made: list[Arrays] = []
    try:
        pipe = open_pipeline(jobs, recipe, device=device, threads=threads)
        for _ in range(0, len(jobs), BATCH):
            gt, ms, pan = (out.as_cpu() for out in pipe.run())
            made += [
                (np.array(gt.at(i)), np.array(ms.at(i)), np.array(pan.at(i)))
                for i in range(len(gt))
            ]
    except RuntimeError as error:
        raise DecodeError(str(error)) from error
    return made


def open_pipeline(
    jobs: Sequence[Job],
    recipe: Recipe,
    *,
    device: Literal["cpu", "gpu"],
    threads: int = 1,
    with_scene: bool = False,
) -> Any:
    """A built pipeline over `jobs`, BATCH at a time; with_scene adds the scene as an output."""
    first = jobs[0].draw
    pipe = _graph(
        feed=_feeder([jobs[i : i + BATCH] for i in range(0, len(jobs), BATCH)], recipe),
        recipe=recipe,
        bands=first.rows_C3.shape[0],
        num_taps=tuple(t.shape[1] for t in (first.taps_gt_CK, first.taps_ms_CK, first.taps_pan_1K)),
        device=device,
        with_scene=with_scene,
        batch_size=BATCH,
        num_threads=threads,
        device_id=None if device == "cpu" else 0,
        prefetch_queue_depth=1,
    )
    pipe.build()
    return pipe


def can_decode(image: bytes, crop: tuple[int, int, int, int]) -> bool:
    """Whether DALI decodes this one image; costs a pipeline, so only for finding a culprit."""

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def single() -> Any:
        data = fn.external_source(
            source=lambda: [np.frombuffer(image, np.uint8)], dtype=types.UINT8
        )
        return _decode(data, np.array(crop[:2]), np.array(crop[2:]), "cpu")

    try:
        pipe = single()
        pipe.build()
        pipe.run()
    except RuntimeError:
        return False
    return True


# Name and dtype of what a batch feeds into the graph, in order.
_FEED = (
    ("image", types.UINT8),
    ("anchor", types.INT32),
    ("shape", types.INT32),
    ("resized", types.FLOAT),
    ("corner", types.INT32),
    ("flip_v", types.INT32),
    ("flip_h", types.INT32),
    ("gamma", types.FLOAT),
    ("rows", types.FLOAT),
    ("offset", types.FLOAT),
    ("pan_rows", types.FLOAT),
    ("pan_offset", types.FLOAT),
    ("texture", types.FLOAT),
    ("noise_ms", types.FLOAT),
    ("noise_pan", types.FLOAT),
    ("read_var", types.FLOAT),
    ("shot_var", types.FLOAT),
    ("top", types.FLOAT),
    ("taps_gt", types.FLOAT),
    ("taps_ms", types.FLOAT),
    ("taps_pan", types.FLOAT),
)


def _feeder(
    batches: Sequence[Sequence[Job]], recipe: Recipe
) -> Callable[[int], list[list[np.ndarray]]]:
    def feed(index: int) -> list[list[np.ndarray]]:
        if index >= len(batches):
            raise StopIteration
        rows = [_row(job, recipe) for job in batches[index]]
        return [list(column) for column in zip(*rows, strict=True)]

    return feed


def _row(job: Job, recipe: Recipe) -> list[np.ndarray]:
    draw = job.draw
    texture, noise_ms, noise_pan = draw_fields(
        draw, tile=recipe.tile, ratio=recipe.ratio, oversample=recipe.oversample
    )
    i32, f32 = np.int32, np.float32
    return [
        np.frombuffer(job.image, np.uint8),
        np.array(draw.crop[:2], i32),
        np.array(draw.crop[2:], i32),
        np.array(draw.resized, f32),
        np.array(draw.corner, i32),
        np.array(draw.flip[0], i32),
        np.array(draw.flip[1], i32),
        np.array(draw.gamma, f32),
        draw.rows_C3,
        draw.offset_C,
        draw.pan_rows_1C,
        np.array([draw.pan_offset], f32),
        texture,
        noise_ms,
        noise_pan,
        np.array(draw.read_noise**2, f32),
        np.array(draw.shot_noise, f32),
        np.array(2**draw.bits - 1, f32),
        draw.taps_gt_CK,
        draw.taps_ms_CK,
        draw.taps_pan_1K,
    ]


@pipeline_def
def _graph(
    *,
    feed: Callable[[int], list[list[np.ndarray]]],
    recipe: Recipe,
    bands: int,
    num_taps: tuple[int, int, int],
    device: str,
    with_scene: bool = False,
) -> Any:
    columns = fn.external_source(
        source=feed, num_outputs=len(_FEED), batch=True, dtype=[dtype for _, dtype in _FEED]
    )
    x = dict(zip((name for name, _ in _FEED), columns, strict=True))
    move = (lambda data: data.gpu()) if device == "gpu" else (lambda data: data)
    tile, fine = recipe.tile, recipe.tile * recipe.oversample

    scene = _scene(x, fine, device)
    light = math.pow(scene, move(x["gamma"]))
    mixed = math.max(_matrix(light, x["rows"], x["offset"], 3, bands), 0.0)
    pan_scene = math.max(_matrix(mixed, x["pan_rows"], x["pan_offset"], bands, 1), 0.0)

    frames = fn.reinterpret(fn.transpose(mixed, perm=[2, 0, 1]), layout="FHW")
    pan_frames = fn.reinterpret(pan_scene, shape=[1, fine, fine], layout="FHW")
    pan_frames = pan_frames + fn.reinterpret(move(x["texture"]), layout="FHW")
    k_gt, k_ms, k_pan = num_taps
    gt = _observe(frames, move(x["taps_gt"]), k_gt, fine, recipe.oversample)
    ms = _observe(gt, move(x["taps_ms"]), k_ms, tile, recipe.ratio)
    pan = _observe(pan_frames, move(x["taps_pan"]), k_pan, fine, recipe.oversample)

    read, shot, top = move(x["read_var"]), move(x["shot_var"]), move(x["top"])
    noisy_ms = _add_noise(ms, move(x["noise_ms"]), read, shot)
    noisy_pan = _add_noise(pan, move(x["noise_pan"]), read, shot)
    numbers = tuple(_quantise(image, top) for image in (gt, noisy_ms, noisy_pan))
    return (*numbers, scene) if with_scene else numbers


def _decode(image: Any, anchor: Any, shape: Any, device: str) -> Any:
    return fn.decoders.image_slice(
        image,
        anchor,
        shape,
        axis_names="HW",
        normalized_anchor=False,
        normalized_shape=False,
        adjust_orientation=False,  # crops are drawn on the stored grid
        output_type=types.RGB,
        device="mixed" if device == "gpu" else "cpu",
    )


def _scene(x: dict[str, Any], size: int, device: str) -> Any:
    """Decode the crop, resize it, extend it by mirroring, place and flip: HWC float in 0..1."""
    crop = _decode(x["image"], x["anchor"], x["shape"], device)
    resized = fn.resize(crop, size=x["resized"], dtype=types.UINT8)
    wide = fn.cat(resized, fn.flip(resized, horizontal=1), axis=1)
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
            shift = {"T": offset[first:last]} if start == 0 else {}
            piece = image if whole else image[:, :, start:stop]
            parts.append(fn.coord_transform(piece, M=rows[first:last, start:stop], **shift))
        outputs.append(sum(parts[1:], parts[0]))
    return outputs[0] if len(outputs) == 1 else fn.cat(*outputs, axis=2)


def _observe(frames: Any, taps: Any, num_taps: int, size: int, step: int) -> Any:
    """observe() of physics/mtf.py: separable blur, one kernel a frame, then every step-th pixel.

    Decimation reshapes instead of slicing with a step: DALI 2.4.0 returns wrong pixels for
    x[:, ::2] of large arrays (tests/simgen/test_pipeline.py shows it).
    """
    taps_vertical = fn.reinterpret(fn.expand_dims(taps, axes=2), layout="FHW")
    taps_horizontal = fn.reinterpret(fn.expand_dims(taps, axes=1), layout="FHW")
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


def _add_noise(image: Any, normal: Any, read_var: Any, shot_var: Any) -> Any:
    sigma = math.sqrt(read_var + shot_var * math.max(image, 0.0))
    return image + sigma * fn.reinterpret(normal, layout="FHW")


def _quantise(image: Any, top: Any) -> Any:
    # cast rounds to nearest and saturates at 65535; the sensor saturates earlier.
    return fn.cast(math.clamp(image * top, 0.0, top), dtype=types.UINT16)

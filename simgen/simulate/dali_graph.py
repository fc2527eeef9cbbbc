"""All that DALI computes: the only file that imports nvidia.dali.

Reading crops serves every device. The whole graph, up to blur and decimation, is for the GPU,
and runs on the CPU too, where tests hold it to numpy_reference.py. DALI draws no random number.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from nvidia.dali import fn, math, pipeline_def, types

from simgen.physics.spectral import FLOOR, MATERIALS, NUM_FEATURES
from simgen.simulate.dali_inputs import CROP_TYPES, GRAPH_INPUTS, Shapes

_TYPES = {np.uint8: types.UINT8, np.int32: types.INT32, np.float32: types.FLOAT}


@pipeline_def
def crops(*, feed: Callable[..., list[list[np.ndarray]]], decoded: bool, device: str) -> Any:
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
    crop = decode(data, anchor, shape, device)
    return (fn.resize(crop, size=resized, dtype=types.UINT8),)


@pipeline_def
def graph(
    *,
    feed: Callable[..., list[list[np.ndarray]]],
    tile: int,
    oversample: int,
    ratio: int,
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
        decode(columns[0], columns[1], columns[2], device), size=columns[3], dtype=types.UINT8
    )
    names = [name for name, _ in GRAPH_INPUTS]
    x = dict(zip(names, columns[len(CROP_TYPES) :], strict=True))
    move = (lambda data: data.gpu()) if device == "gpu" else (lambda data: data)
    fine, total = tile * oversample, bands + int(hidden)

    scene = _placed(_retouched(crop, x, move), x, fine)
    light = math.pow(scene, move(x["gamma"]))
    lit = _features(light) * move(x["shade"])
    mixed = math.max(_matrix(lit, x["rows"], x["offset"], NUM_FEATURES, total), 0.0)
    mixed = mixed * _reflectances(light, x, total)
    pan_scene = math.max(_matrix(mixed, x["pan_rows"], x["pan_offset"], total, 1), 0.0)

    planes = fn.transpose(mixed, perm=[2, 0, 1])
    frames = fn.reinterpret(planes[:bands] if hidden else planes, layout="FHW")
    pan_frames = fn.reinterpret(pan_scene, shape=[1, fine, fine], layout="FHW")
    contrast = fn.reductions.std_dev(pan_frames, fn.reductions.mean(pan_frames))
    pan_frames = pan_frames + _texture(x, move, fine) * contrast
    gt = _observe(frames, move(x["gt"]), shapes[0], fine, oversample)
    if physical:
        ms = _observe(frames, move(x["ms"]), shapes[1], fine, oversample * ratio)
    else:
        ms = _observe(gt, move(x["ms"]), shapes[1], tile, ratio)
    return gt, ms, _observe(pan_frames, move(x["pan"]), shapes[2], fine, oversample)


@pipeline_def
def single(*, image: bytes, crop: tuple[int, int, int, int], device: str) -> Any:
    """One image, decoded and no more."""
    source = [np.frombuffer(image, np.uint8)]
    data = fn.external_source(source=lambda: source, dtype=types.UINT8)
    return decode(data, np.array(crop[:2]), np.array(crop[2:]), device)


def _texture(x: dict[str, Any], move: Callable[[Any], Any], size: int) -> Any:
    """smooth_texture() of physics/spectral.py times its spread, one frame."""
    nodes = fn.reinterpret(move(x["texture"]), layout="HWC")
    smooth = fn.resize(
        nodes,
        size=[size, size],
        roi_start=fn.stack(x["texture_span"][0], x["texture_span"][0]),
        roi_end=fn.stack(x["texture_span"][1], x["texture_span"][1]),
        interp_type=types.INTERP_LINEAR,
        antialias=False,
    )
    return fn.reinterpret(smooth, shape=[1, size, size], layout="FHW") * move(x["texture_spread"])


def decode(image: Any, anchor: Any, shape: Any, device: str) -> Any:
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

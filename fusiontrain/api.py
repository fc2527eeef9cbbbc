"""Fusing from Python: arrays, rasterio's datasets, files, xarray. The pixels are the command's.

from fusiontrain import pansharpen
fused = pansharpen(pan, ms, weights="model.safetensors")        # numpy in, numpy out
pansharpen(rasterio.open("pan.tif"), rasterio.open("ms.tif"), "out.tif", method="glp-fs-soft")
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.arguments import Call, Files, path_of, softness_of
from fusiontrain.fusion.fuse_array import fuse_job_to_array, fuse_to_array
from fusiontrain.fusion.fuse_scene import (
    FusionJob,
    InputFiles,
    fuse_to_file,
    open_job,
    torch_threads_for,
)
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.guided_fuser import GuidedFuser, joint_model, prepare_group
from fusiontrain.fusion.guided_job import check_options
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.memory_errors import memory_errors
from fusiontrain.fusion.memory_plan import make_plan
from fusiontrain.fusion.options import MEMORY, NETWORK, AdaptationBudget, FusionOptions, Quality
from fusiontrain.fusion.prepared_output import measured_scaling, prepared
from fusiontrain.fusion.product_inputs import inputs_of
from fusiontrain.fusion.sensor_identity import sensor_model_for
from fusiontrain.fusion.sensor_model import Frame
from fusiontrain.models.target import Target
from fusiontrain.scenes.array_scene import (
    ArrayPair,
    array_pair,
    guided_scene_of_arrays,
    picked_bands,
    scene_of_arrays,
)
from fusiontrain.scenes.gdal_environment import is_dataset
from fusiontrain.scenes.labelled_arrays import check_labels, is_labelled, with_labels
from fusiontrain.scenes.output_formats import format_of
from fusiontrain.scenes.products.product import Product
from fusiontrain.scenes.products.recognition import find_product
from fusiontrain.scenes.raster import EVERY_VALUE, Nodata
from fusiontrain.scenes.value_scaling import Scale, check_narrowing
from fusiontrain.scenes.writer import Output, check_output

_LOGGER = logging.getLogger(__name__)


def pansharpen(
    pan: Any,
    ms: Any = None,
    out: str | Path | None = None,
    *,
    method: str = NETWORK,
    weights: str | Path | None = None,
    target: Target | None = None,
    sensor: str | Path = "auto",
    softness: float | Literal["auto", "bands"] | None = None,
    bands: Sequence[int] = (),
    keep_guides: bool = False,
    bbox: tuple[float, float, float, float] | None = None,
    dtype: Any = None,
    scale: str | tuple[float, float] | None = None,
    nodata: Nodata = None,
    assume_aligned: bool = False,
    match: bool = False,
    register: bool = True,
    local_shift: bool = True,
    frame: Frame = "pan",
    adapt: float | str | None = None,
    quality: Quality = "normal",
    precision: Literal["float32", "bf16"] = "float32",
    format: str | None = None,  # noqa: A002 - the command's own word
    creation_options: Mapping[str, str] | None = None,
    device: str | torch.device = "auto",
    threads: int | None = None,
    memory: float = MEMORY,
    window: int | None = None,
) -> Any:
    """The MS's bands on the PAN's grid, in the MS's dtype.

    Shapes: PAN (H, W) or (1, H, W), MS (C, h, w), DN; H = ratio * h -> (C, H, W). Guides, several
    sharp bands in place of PAN: (G, H, W), or a list of files, whose MS may be of several grids.
    Arrays and tensors give an array, masked ones a masked one, DataArrays one whose `attrs` say
    what is missing; paths, URLs, rasterio's datasets an array (masked if they have a mask, no
    nodata value) or, with `out`, a file's path. `target`: "scene" (crisp, bands in place),
    "sensor". `scale`: "2%,98%", (MIN, MAX), "bits". `adapt`: seconds, "40steps". Others: `fuse`'s.
    Raises: PanpriorError with a message of one line, as the command does.
    """
    options = FusionOptions(
        method=method,
        weights=path_of("weights", weights),
        target=target,
        sensor=str(sensor) if isinstance(sensor, Path) else sensor,
        softness=softness_of(softness),
        register=register,
        local_shift=local_shift,
        frame=frame,
        adapt=AdaptationBudget.of(adapt),
        quality=quality,
        precision=precision,
        device=str(device) if isinstance(device, torch.device) else device,
        memory=memory,
        window=window,
    )
    call = Call(options, bands, dtype, Scale.of(scale), nodata, threads, keep_guides)
    return _fuse(pan, ms, call, Files(out, bbox, assume_aligned, match, format, creation_options))


def _fuse(pan: Any, ms: Any, call: Call, files: Files) -> Any:
    product = _product(pan) if ms is None else None
    if product is not None or _are_files(pan, ms):
        inputs = InputFiles(
            pan=tuple(pan) if isinstance(pan, (list, tuple)) else pan,
            ms=() if ms is None else tuple(_listed(ms)),
            keep_guides=call.keep_guides,
            bands=call.bands,
            bbox=files.bbox,
            assume_aligned=files.assume_aligned,
            match=files.match,
            nodata=call.given_nodata,
        )
        if product is not None:
            inputs = inputs_of(product, inputs)
        return _fuse_files(inputs, call, files)
    if files.out is not None or files.bbox is not None or files.match:
        raise SceneError(
            "`out`, `bbox` and `match` are for files; arrays have no place on the ground"
        )
    with memory_errors():
        return _fuse_arrays(pan, ms, call)


def _product(pan: Any) -> Product:
    if not isinstance(pan, (str, Path)):
        raise SceneError("without `ms`, `pan` is a product: its folder, file or URL")
    return find_product(pan)


def _fuse_files(inputs: InputFiles, call: Call, files: Files) -> Any:
    options = replace(call.options, guided=isinstance(inputs.pan, tuple))
    fuser = make_fuser(options)
    with open_job(inputs, fuser, options, threads=call.workers) as opened:
        for warning in opened.warnings:
            _LOGGER.warning("%s", warning)
        path = files.out or Path()
        output = Output(
            path=path,
            format=format_of(path, files.format),
            dtype=call.dtype,
            scale=call.scale,
            nodata=call.nodata,
            options=files.creation_options,
            threads=call.workers,
        )
        output = prepared(opened, output)
        if files.out is None:
            return fuse_job_to_array(_adapted(opened), output)
        check_output(output, opened.pair)
        fuse_to_file(_adapted(opened), output)
        return path


def _adapted(job: FusionJob) -> FusionJob:
    if job.options.adapt is None:
        return job
    from fusiontrain.training.adaptation import adapted  # fusing needs nothing of training

    return adapted(job)


def _fuse_arrays(pan: Any, ms: Any, call: Call) -> Any:
    """An array; a masked one of masked ones; a DataArray of two."""
    labelled = is_labelled(pan) and is_labelled(ms)
    if labelled:
        check_labels(pan, ms)
    pair = array_pair(pan, ms, every_value=call.given_nodata == EVERY_VALUE)
    guided = len(pair.pan) > 1
    dtype = pair.ms.dtype if call.dtype is None else call.dtype
    nodata = pair.nodata(dtype, call.nodata)
    fuser = make_fuser(replace(call.options, guided=guided))
    fused = (_fuse_guided if guided else _fuse_pair)(pair, call, fuser, dtype, nodata)
    if not labelled:
        return fused
    return with_labels(fused, pan, ms, nodata, None if call.keep_guides else call.bands)


def _fuse_pair(
    pair: ArrayPair, call: Call, fuser: Fuser, dtype: np.dtype, nodata: float | None
) -> np.ndarray:
    options, source = call.options, pair.ms.dtype
    scene = scene_of_arrays(pair.pan, picked_bands(pair.ms, call.bands), call.nodata)
    scaling = measured_scaling(call.scale, scene, dtype, source=source)
    check_narrowing(source, None, dtype, scaling)
    threads = call.workers
    with torch_threads_for(fuser):
        sensor_model, _ = sensor_model_for(
            scene, options, blind=fuser.blind, target=fuser.target, bands=call.bands
        )
    if options.adapt is not None:
        from fusiontrain.training.adaptation import adapt

        fuser, _ = adapt(fuser, scene, sensor_model, options.adapt)
    plan = make_plan(scene, fuser, memory=options.memory, core=options.window, threads=threads)
    return fuse_to_array(
        scene,
        fuser,
        sensor_model,
        plan,
        dtype=dtype,
        nodata=nodata,
        scaling=scaling,
        masked=pair.masked,
    )


def _fuse_guided(
    pair: ArrayPair, call: Call, fuser: Fuser, dtype: np.dtype, nodata: float | None
) -> np.ndarray:
    options, source = call.options, pair.ms.dtype
    check_options(options)
    scene = guided_scene_of_arrays(
        pair.pan, pair.ms, call.nodata, bands=call.bands, keep_guides=call.keep_guides
    )
    scaling = measured_scaling(call.scale, scene, dtype, source=source)
    check_narrowing(source, None, dtype, scaling)
    with torch_threads_for(fuser):
        groups = (prepare_group(scene.group(0), options, fuser),)
    guided = GuidedFuser(inner=fuser, groups=groups)
    plan = guided.plan(scene, memory=options.memory, core=options.window, threads=call.workers)
    model = joint_model(groups, scene)
    return fuse_to_array(
        scene, guided, model, plan, dtype=dtype, nodata=nodata, scaling=scaling, masked=pair.masked
    )


def _are_files(pan: Any, ms: Any) -> bool:
    """Paths, URLs or open datasets of rasterio. Raises: SceneError if some are, and some not."""
    sources = (*_listed(pan), *_listed(ms))
    files = [isinstance(source, (str, Path)) or is_dataset(source) for source in sources]
    if any(files) and not (all(files) and _listed(pan) and _listed(ms)):
        got = " and ".join(type(image).__name__ for image in (pan, ms))
        raise SceneError(
            "`pan` and `ms` must be both files (paths, URLs, open datasets) or both arrays; "
            f"got {got}"
        )
    return bool(files) and all(files)


def _listed(ms: Any) -> Sequence[Any]:
    return ms if isinstance(ms, (list, tuple)) else [ms]

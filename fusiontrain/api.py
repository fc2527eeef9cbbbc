"""Fusing from Python: arrays, rasterio's datasets, files, xarray. The pixels are the command's.

from fusiontrain import pansharpen
fused = pansharpen(pan, ms, weights="model.safetensors")        # numpy in, numpy out
pansharpen(rasterio.open("pan.tif"), rasterio.open("ms.tif"), "out.tif", method="glp-fs-soft")
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import (
    FusionJob,
    InputFiles,
    fuse_job_to_array,
    fuse_to_array,
    fuse_to_file,
    open_job,
    use_threads,
)
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.memory_errors import memory_errors
from fusiontrain.fusion.memory_plan import make_plan
from fusiontrain.fusion.options import MEMORY, NETWORK, AdaptationBudget, FusionOptions, Quality
from fusiontrain.fusion.prepared_output import measured_scaling, prepared
from fusiontrain.fusion.sensor_identity import sensor_model_for
from fusiontrain.fusion.sensor_model import Frame
from fusiontrain.imaging.masks import pan_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.models.target import Target
from fusiontrain.scenes.gdal_environment import is_dataset
from fusiontrain.scenes.grids import check_coordinates
from fusiontrain.scenes.output_formats import format_of
from fusiontrain.scenes.output_values import check_nodata
from fusiontrain.scenes.raster import EVERY_VALUE, Nodata, band_means, sample_windows
from fusiontrain.scenes.scene import Scene
from fusiontrain.scenes.value_scaling import Scale, check_narrowing
from fusiontrain.scenes.writer import Output, check_output

_LOGGER = logging.getLogger(__name__)


def pansharpen(
    pan: Any,
    ms: Any,
    out: str | Path | None = None,
    *,
    method: str = NETWORK,
    weights: str | Path | None = None,
    target: Target | None = None,
    sensor: str = "auto",
    softness: float | Literal["bands"] | None = None,
    bands: Sequence[int] = (),
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
    format: str | None = None,  # noqa: A002 - the command's own word
    creation_options: Mapping[str, str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    memory: float = MEMORY,
    window: int | None = None,
) -> Any:
    """The MS's bands on the PAN's grid, in the MS's dtype.

    Shapes: PAN (H, W) or (1, H, W), MS (C, h, w), DN; H = ratio * h -> (C, H, W).
    Arrays (numpy, masked, tensors) give an array; xarray's a DataArray; paths, URLs and open
    datasets of rasterio an array, or with `out` a file, whose path is returned. `nodata`: the value
    of missing pixels. `bbox`, `assume_aligned` and `match` are for files. `target`: "scene" (crisp,
    bands in place) or "sensor"; None: what `weights` give. `scale`, for a narrower `dtype`:
    "2%,98%" (percentiles), (MIN, MAX) or "bits". `register`: the shift is removed, with
    `local_shift` as it varies. `frame`: where the result lies, "pan" or "ms". `adapt`: seconds
    ("40steps") of tuning on the scene. `quality`: "best", the mean of eight flips.
    Raises: PanpriorError with a message of one line, as the command does.
    """
    options = FusionOptions(
        method=method,
        weights=None if weights is None else Path(weights),
        target=target,
        sensor=sensor,
        softness=softness,
        register=register,
        local_shift=local_shift,
        frame=frame,
        adapt=AdaptationBudget.of(adapt),
        quality=quality,
        device=device,
        memory=memory,
        window=window,
    )
    call = _Call(options, tuple(bands), dtype, Scale.of(scale), nodata, use_threads(threads))
    files = _FileOptions(out, bbox, assume_aligned, match, nodata, format, creation_options or {})
    return _fuse(pan, ms, call, files)


@dataclass(frozen=True)
class _Call:
    """What one call asks for beside its images."""

    options: FusionOptions
    bands: tuple[int, ...]
    dtype: Any  # None: the MS's
    scale: Scale | None
    given_nodata: Nodata
    threads: int

    @property
    def nodata(self) -> float | None:
        """The value that marks missing pixels, where one does."""
        return None if self.given_nodata == EVERY_VALUE else self.given_nodata


@dataclass(frozen=True)
class _FileOptions:
    """What one call asks for of files, as in pansharpen."""

    out: str | Path | None
    bbox: tuple[float, float, float, float] | None
    assume_aligned: bool
    match: bool
    nodata: Nodata
    format: str | None
    creation_options: Mapping[str, str]


def _fuse(pan: Any, ms: Any, call: _Call, files: _FileOptions) -> Any:
    if _are_files(pan, ms):
        inputs = InputFiles(
            pan=pan,
            ms=tuple(_listed(ms)),
            bands=call.bands,
            bbox=files.bbox,
            assume_aligned=files.assume_aligned,
            match=files.match,
            nodata=files.nodata,
        )
        return _fuse_files(inputs, call, files)
    if files.out is not None or files.bbox is not None or files.match:
        raise SceneError(
            "`out`, `bbox` and `match` are for files; arrays have no place on the ground"
        )
    labelled = hasattr(pan, "dims") and hasattr(ms, "dims")
    with memory_errors():
        return _fuse_labelled(pan, ms, call) if labelled else _fuse_arrays(pan, ms, call)


def _fuse_files(inputs: InputFiles, call: _Call, files: _FileOptions) -> Any:
    dtype = None if call.dtype is None else np.dtype(call.dtype)
    fuser = make_fuser(call.options)
    with open_job(inputs, fuser, call.options, threads=call.threads) as opened:
        for warning in opened.warnings:
            _LOGGER.warning("%s", warning)
        path = Path("" if files.out is None else files.out)
        output = Output(
            path=path,
            format=format_of(path, files.format),
            dtype=dtype,
            scale=call.scale,
            nodata=call.nodata,
            options=dict(files.creation_options),
            threads=call.threads,
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


def _fuse_arrays(pan: Any, ms: Any, call: _Call) -> np.ndarray:
    options, nodata = call.options, call.nodata
    images = np.ma.asanyarray(pan), np.ma.asanyarray(ms)
    pan, ms = (image[None] if image.ndim == 2 else image for image in images)
    for name, image in (("PAN", pan), ("MS", ms)):
        if image.ndim != 3 or image.dtype.kind not in "uif" or 0 in image.shape:
            raise SceneError(
                f"{name} must be numbers (C, H, W), of an integer or float dtype; "
                f"got {image.dtype} {image.shape}"
            )
    if call.bands:
        if not all(1 <= band <= len(ms) for band in call.bands):
            raise SceneError(f"bands go from 1 to {len(ms)}; got {[*call.bands]}")
        ms = ms[[band - 1 for band in call.bands]]
    dtype = np.dtype(call.dtype or ms.dtype)
    if nodata is not None:
        check_nodata(nodata, dtype)
    scene = _scene_of_arrays(pan, ms, nodata)
    scaling = measured_scaling(call.scale, scene, dtype, source=ms.dtype)
    check_narrowing(ms.dtype, None, dtype, scaling)
    fuser = make_fuser(options)
    sensor_model, _ = sensor_model_for(
        scene, options, blind=fuser.blind, target=fuser.target, bands=call.bands
    )
    if options.adapt is not None:
        from fusiontrain.training.adaptation import adapt

        fuser, _ = adapt(fuser, scene, sensor_model, options.adapt)
    if nodata is None and dtype.kind == "f":
        nodata = math.nan
    plan = make_plan(scene, fuser, memory=options.memory, core=options.window)
    return fuse_to_array(
        scene, fuser, sensor_model, plan, dtype=dtype, nodata=nodata, scaling=scaling
    )


def _scene_of_arrays(pan: Any, ms: Any, nodata: float | None) -> Scene:
    pan_data, pan_valid = _filled(pan, nodata)
    ms_data, ms_valid = _filled(ms, nodata)
    ratio = max(1, pan_data.shape[-1] // ms_data.shape[-1])
    valid = None
    if pan_valid.shape == tuple(side * ratio for side in ms_valid.shape):
        valid = pan_valid & pan_valid_mask(ms_valid, ratio)
        valid = None if bool(valid.all()) else valid
    return Scene(name="arrays", ms=ms_data, pan=pan_data, valid=valid)


def _filled(image: Any, nodata: float | None) -> tuple[Tensor, Tensor]:
    """(C, h, w) float32, missing pixels at their band's typical value; (h, w) bool."""
    data = torch.from_numpy(np.ascontiguousarray(np.ma.getdata(image), dtype=np.float32))
    hidden = torch.from_numpy(np.ma.getmaskarray(image).copy())
    if nodata is not None and not math.isnan(nodata):
        hidden |= data == torch.tensor(nodata, dtype=data.dtype)
    # 0 is a reading too, of shade or water: as in a file it hides a pixel where all bands have it.
    valid = torch.isfinite(data).all(0) & ~hidden.all(0) & ~(hidden & (data != 0)).any(0)

    def read(box: Box) -> tuple[Tensor, Tensor]:
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        return data[:, rows, columns], valid[rows, columns]

    fill = band_means(*sample_windows(data.shape[1], data.shape[2], read))
    return torch.where(valid, data, fill[:, None, None]), valid


def _fuse_labelled(pan: Any, ms: Any, call: _Call) -> Any:
    """DataArrays with y and x: (y, x) or (band, y, x) in that order."""
    y, x = pan.dims[-2:]
    if ms.dims[-2:] != (y, x) or ms.ndim != 3:
        raise SceneError(f"MS must have dims (band, {y}, {x}) beside PAN's; got {ms.dims}")
    for axis in (y, x):
        if axis in pan.coords and axis in ms.coords:
            check_coordinates(str(axis), np.asarray(pan[axis]), np.asarray(ms[axis]))
    nodata = call.nodata
    if nodata is None:
        for metadata in (ms.attrs, ms.encoding):
            nodata = metadata.get("_FillValue", metadata.get("nodata", nodata))
    fused = _fuse_arrays(pan.values, ms.values, replace(call, given_nodata=nodata))
    picked = ms.isel({ms.dims[0]: [band - 1 for band in call.bands]}) if call.bands else ms
    coords = {key: pan.coords[key] for key in (y, x, "spatial_ref") if key in pan.coords}
    if ms.dims[0] in picked.coords:
        coords[ms.dims[0]] = picked.coords[ms.dims[0]]
    return type(ms)(fused, dims=ms.dims, coords=coords, attrs=ms.attrs, name=ms.name)


def _are_files(pan: Any, ms: Any) -> bool:
    return _is_file(pan) and all(map(_is_file, _listed(ms)))


def _is_file(source: Any) -> bool:
    """A path, a URL or an open dataset of rasterio."""
    return isinstance(source, (str, Path)) or is_dataset(source)


def _listed(ms: Any) -> Sequence[Any]:
    return ms if isinstance(ms, (list, tuple)) else [ms]

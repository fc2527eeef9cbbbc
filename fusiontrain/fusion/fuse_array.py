"""One scene fused to an array: of files that are open, or of arrays."""

from contextlib import closing

import numpy as np

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import FusionJob, torch_threads_for
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.memory_plan import Plan
from fusiontrain.fusion.scaled_scene import fused_windows
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.scenes.output_values import output_nodata, output_pixels
from fusiontrain.scenes.scene import NO_DATA, WindowedScene
from fusiontrain.scenes.value_scaling import ValueScaling, check_narrowing
from fusiontrain.scenes.writer import Output


def fuse_to_array(
    scene: WindowedScene,
    fuser: Fuser,
    sensor_model: SensorModel,
    plan: Plan,
    *,
    dtype: np.dtype,
    nodata: float | None,
    bits: int | None = None,
    scaling: ValueScaling | None = None,
    masked: bool = False,
) -> np.ndarray:
    """(C, H, W) of `dtype`, with the pixels that a file would have; missing ones `nodata` or 0.

    masked: a masked array, which hides the missing ones.
    """
    h, w = (side * scene.ratio for side in scene.shape)
    out = np.empty((scene.bands, h, w), dtype)
    if masked:
        # numpy's own fill of small integers, 999999, is none of theirs and wraps round
        fill = 0 if nodata is None else nodata
        out = np.ma.array(out, mask=np.zeros(out.shape, bool), fill_value=fill)
    has_data = False
    with (
        torch_threads_for(fuser),
        closing(fused_windows(scene, fuser, sensor_model, plan)) as windows,
    ):
        for window in windows:
            has_data = has_data or bool(window.valid.any())
            fine = window.core.scaled(scene.ratio)
            values = window.fused.numpy() if scaling is None else scaling(window.fused.numpy())
            data = output_pixels(values, window.valid.numpy(), dtype, nodata, bits)
            place = (slice(None), slice(fine.top, fine.bottom), slice(fine.left, fine.right))
            np.ma.getdata(out)[place] = data
            if masked:
                np.ma.getmaskarray(out)[place] = ~window.valid.numpy()
    if not has_data:
        raise SceneError(NO_DATA)
    return out


def fuse_job_to_array(job: FusionJob, output: Output) -> np.ndarray:
    """fuse_to_array of an open pair, with the pixels of the file that `output` describes.

    A masked array where that file would have a mask: nothing else says what is missing.
    """
    dtype, pair = output.dtype or job.pair.dtype, job.pair
    check_narrowing(pair.dtype, pair.bits, dtype, output.scaling)
    nodata, _ = output_nodata(pair.nodata, dtype, output.nodata)
    bits = pair.bits if dtype == pair.dtype and output.scaling is None else None
    return fuse_to_array(
        pair,
        job.fuser,
        job.sensor_model,
        job.plan,
        dtype=dtype,
        nodata=nodata,
        bits=bits,
        scaling=output.scaling,
        masked=nodata is None and pair.masked,
    )

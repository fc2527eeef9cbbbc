"""What the output of an open pair is like: its dtype, scale and bands' colours, all resolved."""

from dataclasses import replace

import numpy as np
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import FusionJob
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.band_colours import band_colours
from fusiontrain.scenes.metadata import assume_depth
from fusiontrain.scenes.output_formats import PICTURES
from fusiontrain.scenes.raster import sample_windows
from fusiontrain.scenes.scene import NO_DATA, WindowedScene
from fusiontrain.scenes.value_scaling import Scale, ValueScaling
from fusiontrain.scenes.writer import Output
from shards.sensors import GENERIC, Sensor


def prepared(job: FusionJob, output: Output) -> Output:
    """`output` with its dtype, its scale as measured on the scene, and the colours of its bands.

    Raises: SceneError as measured_scaling.
    """
    pair = job.pair
    dtype = output.dtype or pair.dtype
    if output.dtype is None and output.scale is not None and output.format in PICTURES:
        dtype = np.dtype("uint8")
    scaling = measured_scaling(
        output.scale,
        pair,
        dtype,
        source=pair.dtype,
        bits=pair.bits,
        sensor=job.sensor_model.sensor,
    )
    colours = band_colours(pair.ms_file, job.sensor_model.sensor)
    tags = {} if scaling is None else {"PANPRIOR_SCALE": str(scaling)}
    return replace(output, dtype=dtype, scaling=scaling, colours=colours, tags=output.tags | tags)


def measured_scaling(
    scale: Scale | None,
    scene: WindowedScene,
    dtype: np.dtype,
    *,
    source: np.dtype,
    bits: int | None = None,
    sensor: Sensor = GENERIC,
) -> ValueScaling | None:
    """The limits of each band for `scale`, from windows of MS spread over the scene.

    source, bits: of the MS's DN; sensor: where files name it.
    Raises: SceneError if the dtype holds no integers, or no pixel has data.
    """
    if scale is None:
        return None
    if dtype.kind not in "ui":
        raise SceneError(
            f"`scale` maps DN to an integer dtype; the output's is {dtype}: give `dtype` too, as "
            "uint8, or leave `scale` out"
        )
    top = float(np.iinfo(dtype).max)
    low, high = (scale.low,) * scene.bands, (scale.high,) * scene.bands
    if scale.kind == "bits":
        if source.kind not in "ui":
            raise SceneError(f"`scale=bits` is of integers; the MS is {source}: give a range")
        full = bits
        if full is None:
            most = min(16, np.iinfo(source).bits)
            largest = max(0.0, float(_ms_sample(scene).max()))
            full, _ = assume_depth(sensor, min(largest, 2.0**most - 1), most=most, slack=0.01)
        low, high = (0.0,) * scene.bands, (2.0**full - 1,) * scene.bands
    elif scale.kind == "percentiles":
        ends = np.percentile(_ms_sample(scene), (scale.low, scale.high), axis=1)
        low = tuple(map(float, ends[0]))
        # A band of one value: any width will do.
        high = tuple(float(max(b, a + 1e-6 * max(1.0, abs(a)))) for a, b in ends.T)
    return ValueScaling(low=low, high=high, top=top)


def _ms_sample(scene: WindowedScene) -> np.ndarray:
    """(C, N) DN of pixels with data."""

    def read(box: Box) -> tuple[Tensor, Tensor]:
        window = scene.read(box)
        return window.ms, ms_valid_mask(window.valid, scene.ratio)

    image, valid = sample_windows(*scene.shape, read)
    if not bool(valid.any()):
        raise SceneError(NO_DATA)
    return np.asarray(image[:, valid].numpy())

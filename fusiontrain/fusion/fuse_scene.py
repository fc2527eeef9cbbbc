"""One scene fused, to a file or to memory: what the command and the Python function share."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fusion_report import Adaptation, QualitySampler
from fusiontrain.fusion.make_fuser import Fuser, Plan
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import FusedWindow
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.grid_alignment import MATCH_LIMIT, open_pair
from fusiontrain.scenes.raster import Source, gdal
from fusiontrain.scenes.scene import NOTHING, WindowedScene
from fusiontrain.scenes.writer import Output, create_fused, output_nodata, to_dtype


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFiles:
    """Which files, and how they are laid on each other."""

    pan: Source
    ms: tuple[Source, ...]
    bands: tuple[int, ...] = ()  # of the MS, from 1; (): all
    bbox: tuple[float, float, float, float] | None = None  # of the PAN's CRS
    assume_aligned: bool | None = False
    match: bool = False
    match_limit: float = MATCH_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionJob:
    """A pair that is open, and all that is known before the first window."""

    pair: GeoPair
    fuser: Fuser
    sensor_model: SensorModel
    plan: Plan
    says: tuple[str, ...] = field(default=())  # lines for whoever asked
    adaptation: Adaptation | None = None  # what --adapt came to


@contextlib.contextmanager
def open_job(inputs: InputFiles, fuser: Fuser, *, threads: int = 1) -> Iterator[FusionJob]:
    """Open, align and measure. Raises: SceneError as open_pair and learn do."""
    with (
        gdal(threads),
        open_pair(
            inputs.pan,
            inputs.ms,
            bands=inputs.bands,
            # --match is what un-orthorectified pairs of one pass are accepted with
            assume_aligned=True if inputs.match else inputs.assume_aligned,
            match=inputs.match,
            limit=inputs.match_limit,
        ) as opened,
    ):
        pair = opened if inputs.bbox is None else opened.cropped(inputs.bbox)
        told = pair.pan_file.all_tags() | pair.ms_file.all_tags()
        sensor_model, why = fuser.estimate_sensor_model(
            pair, told=told, name=Path(str(inputs.ms[0])).stem, picked=inputs.bands
        )
        h, w = (side * pair.ratio for side in pair.shape)
        says = (
            *filter(None, [pair.note]),
            f"{pair.bands} bands, ratio {pair.ratio}, {h} x {w}; {why}: {sensor_model}",
            registration(sensor_model, asked=fuser.options.register),
        )
        yield FusionJob(
            pair=pair,
            fuser=fuser,
            sensor_model=sensor_model,
            plan=fuser.plan(pair, threads),
            says=says,
        )


def fuse_to_file(
    ready: FusionJob,
    output: Output,
    *,
    spots: QualitySampler | None = None,
    statistics: Callable[[], None] = lambda: None,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """The file appears when it is whole. Reading, fusing and writing go on side by side.

    `statistics` is called for each window of the first pass, `advance` with the PAN pixels done.
    """
    pair = ready.pair
    tags = ready.fuser.tags | {
        "PANPRIOR_KNOWLEDGE": str(ready.sensor_model),
        "PANPRIOR_REGISTRATION": registration(
            ready.sensor_model, asked=ready.fuser.options.register
        ),
        "PANPRIOR_VERSION": own_version(),
    }
    if pair.note:
        tags["PANPRIOR_ALIGNMENT"] = pair.note
    if ready.adaptation is not None:
        tags["PANPRIOR_ADAPTATION"] = str(ready.adaptation)
    output = replace(output, tags=tags | output.tags)
    with create_fused(output, pair) as file, ThreadPoolExecutor(1, "writing") as writer:
        pending: list[Future[None]] = []
        seen = False
        try:
            parts = ready.fuser.parts(pair, ready.sensor_model, ready.plan, advance=statistics)
            for part in parts:
                if pending:
                    pending.pop().result()  # one window may wait, not more: memory is bounded
                if spots is not None:
                    spots.see(part)
                seen = seen or bool(part.valid.any())
                pending.append(writer.submit(file.write, part.core, part.fused, part.valid))
                advance(_pixels(part))
            for future in pending:
                future.result()
            if not seen:
                raise SceneError(NOTHING)
        finally:
            for future in pending:
                future.cancel()


def fuse_to_array(
    scene: WindowedScene,
    fuser: Fuser,
    sensor_model: SensorModel,
    plan: Plan,
    *,
    dtype: np.dtype,
    nodata: float | None,
) -> np.ndarray:
    """(C, H, W) of `dtype`, with the pixels that a file would have; missing ones `nodata` or 0."""
    h, w = (side * scene.ratio for side in scene.shape)
    out = np.empty((scene.bands, h, w), dtype)
    seen = False
    for part in fuser.parts(scene, sensor_model, plan):
        seen = seen or bool(part.valid.any())
        fine = part.core.scaled(scene.ratio)
        data = to_dtype(part.fused.numpy(), dtype, nodata)
        data[:, ~part.valid.numpy()] = 0 if nodata is None else nodata
        out[:, fine.top : fine.bottom, fine.left : fine.right] = data
    if not seen:
        raise SceneError(NOTHING)
    return out


def read_fused(ready: FusionJob, *, dtype: np.dtype | None, nodata: float | None) -> np.ndarray:
    """fuse_to_array of an open pair, in the dtype and nodata that its file would have."""
    kind = dtype or ready.pair.dtype
    chosen, _ = output_nodata(ready.pair, kind, nodata)
    return fuse_to_array(
        ready.pair, ready.fuser, ready.sensor_model, ready.plan, dtype=kind, nodata=chosen
    )


def use_threads(threads: int | None) -> int:
    """Of the network and of GDAL's codecs; None leaves what torch has."""
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def registration(sensor_model: SensorModel, *, asked: bool) -> str:
    """Where PAN was moved, in one line."""
    if not asked:
        return "--register off: PAN used where it lies"
    if sensor_model.shift == NO_SHIFT:
        return "--register auto: no shift between PAN and MS can be told; PAN used where it lies"
    rows, columns = sensor_model.shift
    return (
        f"--register auto: the MS lies {rows:+.2f} rows, {columns:+.2f} columns of PAN pixels off "
        "the PAN; PAN is moved there"
    )


def own_version() -> str:
    try:
        return version("panprior")
    except PackageNotFoundError:
        return "unknown"


def numbers(text: str | Sequence[int]) -> tuple[int, ...]:
    """(3, 2, 1) of "3,2,1"."""
    return tuple(map(int, text.split(","))) if isinstance(text, str) else tuple(text)


def _pixels(part: FusedWindow) -> int:
    return part.fused.shape[-2] * part.fused.shape[-1]

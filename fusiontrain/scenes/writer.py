"""Fused files: a COG or a GeoTIFF on the PAN's grid, whole or absent."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.band_colours import Colours, color_interpretation, photometric
from fusiontrain.scenes.creation_options import check_creation_options
from fusiontrain.scenes.described_file import SPECTRAL
from fusiontrain.scenes.gdal_environment import WriteError, reason
from fusiontrain.scenes.gdal_writing import (
    check_whole,
    copy_interruptibly,
    create,
    publish_with_sidecar,
)
from fusiontrain.scenes.guided_pair import OpenPair
from fusiontrain.scenes.input_files import check_not_read
from fusiontrain.scenes.output_formats import PICTURES, check_picture
from fusiontrain.scenes.output_values import output_nodata, output_pixels
from fusiontrain.scenes.raster_metadata import acquisition_tags, read_metadata
from fusiontrain.scenes.value_scaling import Scale, ValueScaling, check_narrowing
from shards.atomic_write import check_place, publish, remove_leftovers, temporary_path

BLOCK = 512
ZSTD_LEVEL = 3  # unless given; GDAL's 9 takes a third more time than all of Brovey, for 6 % of size
_STALE = ("STATISTICS_", "AREA_OR_POINT", "OVR_RESAMPLING", "TIFFTAG_DOCUMENTNAME")  # not carried


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """How the fused file is to be written. None: as the inputs have it."""

    path: Path
    format: str = "COG"
    dtype: np.dtype | None = None
    nodata: float | None = None
    options: dict[str, str] = field(default_factory=dict)  # GDAL's creation options
    threads: int = 1
    tags: dict[str, str] = field(default_factory=dict)
    scale: Scale | None = None  # how DN become values of `dtype`, as asked
    scaling: ValueScaling | None = None  # `scale` as measured on the scene
    colours: Colours = ()  # of each band, where known


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedFile:
    """A file being written, on the PAN's grid with the MS's bands."""

    file: Any
    ratio: int
    dtype: np.dtype
    nodata: float | None
    masked: bool
    bits: int | None = None  # of its integers, where they are fewer than the dtype's
    scaling: ValueScaling | None = None

    def write(self, box: Box, fused: Tensor, valid: Tensor) -> None:
        """`box` in MS pixels; fused (C, H, W) DN; invalid pixels become nodata.

        Raises: SceneError where a valid pixel is not finite, or the disk is full.
        """
        mask = valid.cpu().numpy()
        fine = box.scaled(self.ratio)
        window = ((fine.top, fine.bottom), (fine.left, fine.right))
        values = fused.cpu().numpy()
        if self.scaling is not None:
            values = self.scaling(values)
        data = output_pixels(values, mask, self.dtype, self.nodata, self.bits)
        try:
            self.file.write(data, window=window)
            if self.masked:
                self.file.write_mask(mask, window=window)
        except WriteError as error:
            raise _cannot(self.file.name, error) from error


def check_output(output: Output, pair: OpenPair, *, place: bool = True) -> None:
    """Before work. `place`: whether its folder must be there.

    Raises: SceneError if the output is an input or its driver does not take an option; OutputError
        as check_place.
    """
    path = output.path
    check_not_read(path, (*pair.pan_file.facts, *pair.ms_file.facts))
    if place:
        check_place(path)
    dtype = output.dtype or pair.dtype
    sides = [side * pair.ratio for side in pair.shape]
    check_picture(output.format, path, pair.bands, dtype, *sides)
    check_narrowing(pair.dtype, pair.bits, dtype, output.scaling)
    nodata, _ = output_nodata(pair.nodata, dtype, output.nodata)
    copied = None if output.format == "GTiff" else (output.format, _copy_options(output, dtype))
    check_creation_options(output.options, _profile(output, pair, dtype, nodata), copied)


@contextmanager
def create_fused(output: Output, pair: OpenPair) -> Iterator[FusedFile]:
    """The output appears under its path only when the block ends without an error.

    It is made in a folder beside it, which is gone afterwards, whatever happens.
    Raises: SceneError if it cannot be written; OutputError as check_place.
    """
    path = output.path
    check_output(output, pair)
    dtype = output.dtype or pair.dtype
    nodata, _ = output_nodata(pair.nodata, dtype, output.nodata)
    masked = nodata is None and pair.masked
    remove_leftovers(path)
    folder = temporary_path(path)
    try:
        try:
            folder.mkdir()
            first = folder / "fused.tif"
            with create(first, _profile(output, pair, dtype, nodata)) as file:
                _describe(file, output, pair)
                yield FusedFile(
                    file=file,
                    ratio=pair.ratio,
                    dtype=dtype,
                    nodata=nodata,
                    masked=masked,
                    bits=_bits(output, pair),
                    scaling=output.scaling,
                )
            if output.format != "GTiff":
                check_whole(first)
                last = folder / ("cog.tif" if output.format == "COG" else f"copy{path.suffix}")
                copy_interruptibly(first, last, output.format, _copy_options(output, dtype))
                first = last
            check_whole(first)
            publish_with_sidecar(first, path)
        except WriteError as error:
            raise _cannot(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cannot(path: Any, error: Exception) -> SceneError:
    return SceneError(
        f"cannot write {path}: {reason(error)}: is the disk full, or the folder closed?"
    )


def _profile(
    output: Output, pair: OpenPair, dtype: np.dtype, nodata: float | None
) -> dict[str, Any]:
    h, w = (side * pair.ratio for side in pair.shape)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": pair.bands,
        "height": h,
        "width": w,
        "dtype": dtype,
        "crs": pair.pan_file.crs,
        **({"transform": pair.transform} if pair.placed else {}),
        "nodata": nodata,
        "photometric": photometric(_colorinterp(output, pair)),
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "IF_SAFER",
        "num_threads": output.threads,
    }
    if output.format != "GTiff":  # this file is only copied from
        # Not sparse: a block that a full disk kept out would then pass for an empty one.
        return profile | {"compress": "zstd", "zstd_level": 1, "predictor": _predictor(dtype)}
    chosen: dict[str, Any] = {"compress": "zstd", "predictor": _predictor(dtype)} | {
        key.lower(): value for key, value in output.options.items()
    }
    if chosen["compress"].upper() == "ZSTD":
        chosen.setdefault("zstd_level", ZSTD_LEVEL)
    if chosen["compress"].upper() not in ("ZSTD", "DEFLATE", "LZW") or _nbits(output):
        chosen.pop("predictor", None)
    return profile | chosen


def _nbits(output: Output) -> int | None:
    """What the creation option asks for: libtiff has no predictor for such integers."""
    texts = [value for key, value in output.options.items() if key.upper() == "NBITS"]
    return int(texts[-1]) if texts and texts[-1].isdecimal() else None


def _bits(output: Output, pair: OpenPair) -> int | None:
    """Of the output's integers: as asked, else the MS's in its own dtype."""
    own = pair.bits if output.dtype in (None, pair.dtype) and output.scaling is None else None
    return min(filter(None, (_nbits(output), own)), default=None)


def _predictor(dtype: np.dtype) -> int:
    return 3 if dtype.kind == "f" else 2


def _copy_options(output: Output, dtype: np.dtype) -> dict[str, str]:
    given = {key.upper(): value for key, value in output.options.items()}
    if output.format in PICTURES:
        return ({"QUALITY": "90"} if output.format == "JPEG" else {}) | given
    options = {
        "BLOCKSIZE": str(BLOCK),
        "COMPRESS": "ZSTD",
        "BIGTIFF": "IF_SAFER",
        "OVERVIEWS": "AUTO",
        "RESAMPLING": "AVERAGE",
        "NUM_THREADS": str(output.threads),
    } | given
    if options["COMPRESS"].upper() == "ZSTD":
        options.setdefault("LEVEL", str(ZSTD_LEVEL))
    if options["COMPRESS"].upper() in ("ZSTD", "DEFLATE", "LZW") and not _nbits(output):
        options.setdefault("PREDICTOR", "FLOATING_POINT" if dtype.kind == "f" else "STANDARD")
    return options


def _colorinterp(output: Output, pair: OpenPair) -> list[Any]:
    return color_interpretation(output.colours, read_metadata(pair.ms_file).colors)


def _describe(file: Any, output: Output, pair: OpenPair) -> None:
    """Metadata of the MS's file, and how this one was made."""
    metadata = read_metadata(pair.ms_file)
    file.colorinterp = _colorinterp(output, pair)
    file.descriptions = metadata.descriptions
    carried = _carried(acquisition_tags(pair.pan_file) | metadata.tags)
    file.update_tags(**carried | output.tags)
    for band, tags in enumerate(metadata.band_tags, 1):
        file.update_tags(band, **_carried(tags))
        spectral = {key: tags[key] for key in SPECTRAL if key in tags}
        if spectral:  # where GDAL looks for them
            file.update_tags(band, ns="IMAGERY", **spectral)
    if any(scale != 1 for scale in metadata.scales) or any(metadata.offsets):
        both = list(zip(metadata.scales, metadata.offsets, strict=True))
        if output.scaling is not None:
            both = [output.scaling.scale_and_offset(*one, i) for i, one in enumerate(both)]
        file.scales, file.offsets = zip(*both, strict=True)
    if any(metadata.units):
        file.units = [unit or "" for unit in metadata.units]
    if not pair.placed:
        _place_by_points(file, pair)


def _place_by_points(file: Any, pair: OpenPair) -> None:
    """RPCs and ground control points of PAN's pixels, moved to where the overlap begins."""
    row, column = pair.pan_origin
    coefficients = copy(pair.pan_file.facts[0].rpcs)
    if coefficients is not None:
        coefficients.line_off -= row
        coefficients.samp_off -= column
        file.rpcs = coefficients
    points, crs = pair.pan_file.facts[0].gcps
    if points:
        moved = [copy(point) for point in points]
        for point in moved:
            point.row -= row
            point.col -= column
        file.gcps = moved, crs


def _carried(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.startswith(_STALE)}


def write_unplaced(path: Path, image: np.ndarray) -> None:
    """A (C, H, W) array as a TIFF without coordinates."""
    count, height, width = image.shape
    temporary = temporary_path(path)
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": image.dtype,
        "compress": "deflate",
        "predictor": _predictor(image.dtype),
    }
    try:
        with create(temporary, profile) as file:
            file.write(image)
        publish(temporary, path)
    except WriteError as error:
        raise _cannot(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)

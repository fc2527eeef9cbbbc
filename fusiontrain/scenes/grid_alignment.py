"""Pairs of rasters: which PAN and MS pixels cover the same ground, and how they are read."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.phase_correlation import WINDOW_SIDE, combine_shifts, phase_correlate
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.gdal_environment import Source
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.grids import (
    EXTENT_TOLERANCE,
    GRID_TOLERANCE,
    LEAST_RATIO,
    MAX_RATIO,
    check_crs,
    check_ratio,
)
from fusiontrain.scenes.open_raster import check_pan, open_raster
from fusiontrain.scenes.raster import Nodata, Raster, band_means
from fusiontrain.scenes.raster_metadata import rpcs
from fusiontrain.scenes.resampling import WarpedRaster, pan_pixels_per_ms_pixel, turned_to
from fusiontrain.scenes.scene import LEAST_SIDE, check_side

UNPLACED_REMEDY = (
    "give `assume_aligned` if PAN and MS cover the same ground from corner to corner, and `match` "
    "if a shift is left to be measured"
)
MATCH_LIMIT = 8.0  # MS pixels that `match` moves at most


@contextmanager
def open_pair(
    pan_path: Source,
    ms_path: Source | Sequence[Source],
    *,
    bands: Sequence[int] = (),
    assume_aligned: bool | None = None,
    match: bool = False,
    limit: float = MATCH_LIMIT,
    nodata: Nodata = None,
) -> Iterator[GeoPair]:
    """Open both and find their common ground. MS may be one file, or one a band, in order.

    Where grids do not fit, MS is resampled onto the PAN's as it is read; `note` says so: cubic
    between pixels (Landsat: half a PAN pixel off), GDAL's cubic warp for other CRS, rotations and
    ratios that are no whole number. `assume_aligned` takes files without a geotransform to cover
    the same ground (None: only if both lack one); `match` measures the shift that is left and
    applies it, up to `limit` MS pixels. `nodata` as open_raster takes it, for both.
    Raises: SceneError if a file cannot be read, PAN has several bands, MS files do not stack,
            the ratio lies outside LEAST_RATIO..MAX_RATIO, nothing overlaps, or the shift is too
            large.
    """
    if not limit > 0:  # of NaN too
        raise SceneError(f"`match_limit` is a number larger than 0; got {limit}")
    with open_raster(pan_path, nodata=nodata) as pan, open_raster(ms_path, nodata=nodata) as ms:
        check_pan(pan)
        ms = turned_to(ms.pick(bands) if bands else ms, pan)  # noqa: PLW2901
        pair = _align(pan, ms, assume_aligned=assume_aligned)
        yield _matched(pair, assume_aligned=assume_aligned, limit=limit) if match else pair


def aligned_pair(guides: Raster, ms: Raster, *, assume_aligned: bool | None) -> GeoPair:
    """MS bands of one grid with several sharp bands in the place of PAN. Raises: as open_pair."""
    return _align(guides, turned_to(ms, guides), assume_aligned=assume_aligned)


def _align(
    pan: Raster, ms: Raster, *, assume_aligned: bool | None, nudge: tuple[float, float] = (0.0, 0.0)
) -> GeoPair:
    """`nudge`: PAN pixels (rows, columns) by which MS is moved."""
    same, to_pan, note = _ms_to_pan(pan, ms, assume_aligned)
    if same:
        to_pan = Affine.translation(nudge[1], nudge[0]) @ to_pan
        check_ratio(math.sqrt(abs(to_pan.determinant)), ms.name)
    ratio = _whole_ratio(to_pan, ms) if same else None
    if ratio is None:
        return _warp(pan, ms, nudge, note)
    rows = _overlap(to_pan.f, ratio, ms.height, pan.height)
    columns = _overlap(to_pan.c, ratio, ms.width, pan.width)
    if rows.length <= 0 or columns.length <= 0:
        raise SceneError(f"PAN and MS do not overlap: PAN covers {pan.bounds}, MS {ms.bounds}")
    check_side((rows.length, columns.length))
    shift = (rows.ms_shift, columns.ms_shift)
    if any(shift):
        note = _joined(
            note,
            f"MS pixels begin {_beside(to_pan.f):.2f} rows, {_beside(to_pan.c):.2f} columns of PAN "
            "pixels off the PAN's: MS is resampled onto its grid, cubic",
        )
    return GeoPair(
        ratio=ratio,
        shape=(rows.length, columns.length),
        ms_origin=(rows.ms_start, columns.ms_start),
        pan_origin=(rows.pan_start, columns.pan_start),
        ms_shift=shift,
        ms_fill=_fill(ms),
        pan_fill=_fill(pan),
        ms_file=ms,
        pan_file=pan,
        note=note,
    )


def _ms_to_pan(pan: Raster, ms: Raster, assume_aligned: bool | None) -> tuple[bool, Affine, str]:
    """Whether both share a plane; if so MS pixel -> PAN pixel; and what was assumed."""
    if pan.placed and ms.placed:
        check_crs(pan.crs, ms.crs, "MS")
        return pan.crs == ms.crs, ~pan.transform @ ms.transform, ""
    unplaced = [file for file in (pan, ms) if not file.placed]
    if assume_aligned is False:
        first = unplaced[0]
        only = " (only RPCs)" if rpcs(first) else " (only GCPs)" if first.facts[0].gcps[0] else ""
        raise SceneError(f"{UNPLACED_REMEDY}: {first.name} has no geotransform{only}")
    if len(unplaced) == 1 and assume_aligned is None:
        raise SceneError(
            f"{unplaced[0].name} has no geotransform, its partner has one; give it one"
        )
    scales = pan.width / ms.width, pan.height / ms.height
    ratio = math.floor(scales[0] + 0.5)
    if (
        min(scales) >= LEAST_RATIO
        and max(abs(s / max(ratio, 1) - 1) for s in scales) > EXTENT_TOLERANCE
    ):
        raise SceneError(
            f"without georeference PAN must be a whole multiple of MS; got PAN "
            f"{pan.height}x{pan.width}, MS {ms.height}x{ms.width}"
        )
    exact = (pan.width, pan.height) == (ms.width * ratio, ms.height * ratio)
    how = "exactly" if exact else f"from the upper left corner on, {ratio} PAN pixels an MS pixel"
    note = f"no georeference: PAN and MS are taken to cover the same ground {how}"
    return True, Affine.scale(ratio if min(scales) >= 1 else scales[0]), note


def _whole_ratio(to_pan: Affine, ms: Raster) -> int | None:
    """The ratio, where MS pixels are a whole number of PAN pixels on the same axes."""
    ratio = round(to_pan.a)
    drift = max(abs(to_pan.a - ratio) * ms.width, abs(to_pan.e - ratio) * ms.height)
    turned = max(abs(to_pan.b) * ms.height, abs(to_pan.d) * ms.width)
    fits = 2 <= ratio <= MAX_RATIO and max(drift, turned) <= 2 * GRID_TOLERANCE
    return ratio if fits else None


def _warp(pan: Raster, ms: Raster, nudge: tuple[float, float], note: str) -> GeoPair:
    """MS warped to the PAN's CRS and grid, at the whole ratio nearest its own."""
    size, edge = pan_pixels_per_ms_pixel(pan, ms)
    check_ratio(size, ms.name)
    ratio = max(2, math.floor(size + 0.5))
    edge = edge + np.array([nudge[1], nudge[0]])
    if not len(edge):
        raise SceneError(f"MS, {ms.bounds} in {ms.crs}, has no place in the PAN's CRS, {pan.crs}")
    left, top = (max(0, math.ceil(v - GRID_TOLERANCE)) for v in edge.min(0))
    right, bottom = (
        min(side, math.floor(v + GRID_TOLERANCE))
        for side, v in zip((pan.width, pan.height), edge.max(0), strict=True)
    )
    if right - left <= 0 or bottom - top <= 0:
        raise SceneError(
            f"PAN and MS do not overlap: PAN covers {pan.bounds} of {pan.crs}, "
            f"MS {ms.bounds} of {ms.crs}"
        )
    shape = (bottom - top) // ratio, (right - left) // ratio
    check_side(shape)
    grid = pan.transform @ Affine.translation(left - nudge[1], top - nudge[0]) @ Affine.scale(ratio)
    warped = WarpedRaster(
        base=ms,
        crs=pan.crs,
        transform=grid,
        height=shape[0],
        width=shape[1],
        scale=size / ratio,
    )
    why = f"MS is in {ms.crs}" if ms.crs != pan.crs else f"an MS pixel is {size:.3f} PAN pixels"
    return GeoPair(
        ratio=ratio,
        shape=shape,
        ms_origin=(0, 0),
        pan_origin=(top, left),
        ms_fill=_fill(warped),
        pan_fill=_fill(pan),
        ms_file=ms,
        pan_file=pan,
        ms_warped=warped,
        note=_joined(note, f"{why}: MS is warped onto the PAN's grid at ratio {ratio}, cubic"),
    )


def _matched(pair: GeoPair, *, assume_aligned: bool | None, limit: float) -> GeoPair:
    """The pair, moved by the shift that its windows agree on."""
    (h, w), side = pair.shape, min(WINDOW_SIDE, *pair.shape)
    boxes = [
        Box(top=top, left=left, bottom=top + side, right=left + side)
        for top in sorted({0, (h - side) // 2, h - side})
        for left in sorted({0, (w - side) // 2, w - side})
    ]
    shifts = []
    for box in boxes:
        part = pair.read(box)
        enough = float(part.valid.float().mean()) > 0.9 and side >= 2 * LEAST_SIDE
        shifts.append(phase_correlate(part.ms, part.pan, pair.ratio) if enough else None)
    shift = combine_shifts(shifts)
    if shift is None:
        return replace(
            pair, note=_joined(pair.note, "match: no shift could be estimated; none applied")
        )
    moved_by = f"{shift.rows:+.2f} rows, {shift.columns:+.2f} columns of MS pixels"
    if max(abs(shift.rows), abs(shift.columns)) > limit:
        raise SceneError(
            f"`match`: MS would have to move by {moved_by}, over the limit of {limit:g}: are these "
            "one pass? Orthorectify both first, or raise `match_limit`"
        )
    nudge = shift.rows * pair.ratio, shift.columns * pair.ratio
    moved = _align(pair.pan_file, pair.ms_file, assume_aligned=assume_aligned, nudge=nudge)
    note = f"match: MS moved by {moved_by} ({shift.agreeing} of {shift.windows} windows agree)"
    return replace(moved, match=shift, note=_joined(note, moved.note))


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Overlap:
    """Common ground along one axis."""

    ms_start: int
    ms_shift: float  # in [0, 1), MS pixels beyond ms_start
    pan_start: int
    length: int  # MS pixels


def _beside(offset: float) -> float:
    """PAN pixels from a whole one."""
    return abs(offset - round(offset))


def _overlap(offset: float, ratio: int, ms_size: int, pan_size: int) -> _Overlap:
    if _beside(offset) <= GRID_TOLERANCE:
        start, shift = round(offset), 0.0
    else:  # from the first PAN pixel that MS covers whole, to the last sample between MS pixels
        start = math.ceil(offset)
        shift = (start - offset) / ratio
        ms_size -= 1
    skipped = max(0, -(start // ratio))
    first_pan = start + skipped * ratio
    return _Overlap(
        ms_start=skipped,
        ms_shift=shift,
        pan_start=first_pan,
        length=min(ms_size - skipped, (pan_size - first_pan) // ratio),
    )


def _fill(raster: Raster | WarpedRaster) -> Tensor:
    """(C,) mean of a sample's valid pixels: filters stay calm beside pixels that it fills."""
    return band_means(*raster.sample())

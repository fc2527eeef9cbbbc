"""Files of guides and of bands on other grids: which pixels cover the same ground."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from affine import Affine

from fusiontrain.errors import SceneError
from fusiontrain.imaging.phase_correlation import ShiftEstimate
from fusiontrain.scenes.dn_size import guides_factor
from fusiontrain.scenes.gdal_environment import Source, name_of
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.grid_alignment import aligned_pair
from fusiontrain.scenes.guided_scene import GUIDES, GuidedScene, OutputBand
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.raster import Nodata, Raster
from fusiontrain.scenes.resampling import WarpedRaster
from fusiontrain.scenes.scene import check_side
from fusiontrain.scenes.unpacked_once import unpacked_once


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedPair(GuidedScene):
    """Open guides and bands, aligned; for a writer what a GeoPair is."""

    pairs: tuple[GeoPair, ...] = field(repr=False)  # the groups
    ms_file: Raster = field(repr=False)  # the output's bands, each as a file of one

    @property
    def pan_file(self) -> Raster:
        """The guides."""
        return self.pairs[0].pan_file

    @property
    def dtype(self) -> np.dtype:
        return self.ms_file.dtype

    @property
    def bits(self) -> int | None:
        bits = [facts.bits for facts in self.ms_file.facts]
        return max(b or 0 for b in bits) if all(bits) else None

    @property
    def nodata(self) -> float | None:
        values = [pair.nodata for pair in self.pairs]
        return next((value for value in values if value is not None), None)

    @property
    def masked(self) -> bool:
        return any(pair.masked for pair in self.pairs)

    @property
    def placed(self) -> bool:
        return self.pan_file.placed

    @property
    def transform(self) -> Affine:
        return self.pairs[0].transform

    @property
    def note(self) -> str:
        return "; ".join(dict.fromkeys(pair.note for pair in self.pairs if pair.note))

    @property
    def ms_warped(self) -> WarpedRaster | None:
        """Of a group whose MS is warped onto the guides' grid."""
        return next(filter(None, (pair.ms_warped for pair in self.pairs)), None)

    @property
    def ms_shift(self) -> tuple[float, float]:
        return self.pairs[0].ms_shift

    @property
    def match(self) -> ShiftEstimate | None:
        return None

    @property
    def pan_origin(self) -> tuple[int, int]:
        return self.pairs[0].pan_origin

    def cropped(self, bbox: tuple[float, float, float, float]) -> "GuidedPair":
        """As GeoPair.cropped, to whole pixels of every grid."""
        pairs = _on_common_ground(tuple(pair.cropped(bbox) for pair in self.pairs))
        return replace(self, pairs=pairs, groups=pairs)


OpenPair = GeoPair | GuidedPair


@contextmanager
def open_guided(
    guides: Sequence[Source],
    ms: Sequence[Source],
    *,
    bands: Sequence[int] = (),
    keep_guides: bool = False,
    assume_aligned: bool | None = None,
    nodata: Nodata = None,
) -> Iterator[GuidedPair]:
    """Open all. Bands of the same size, CRS and place are one group.

    `keep_guides`: they are in the output too, first. `bands`: some of the output's, from 1, in this
    order; else the guides, then the MS's in the order of the files.
    Raises: SceneError as open_pair for each group; where dtypes differ, no band is left to fuse, or
            grids begin at no common pixel.
    """
    with ExitStack() as stack:
        sharp = stack.enter_context(open_raster(tuple(guides), nodata=nodata))
        rasters, listed = _grouped(stack, ms, nodata)
        sharp, *rasters = (unpacked_once(stack, raster) for raster in (sharp, *rasters))
        if keep_guides:
            listed = [*((GUIDES, band) for band in range(sharp.count)), *listed]
        wrong = [band for band in bands if not 1 <= band <= len(listed)]
        if wrong:
            raise SceneError(f"bands go from 1 to {len(listed)}; got {[*bands]}")
        chosen = [listed[band - 1] for band in bands] if bands else listed
        rasters, order = _picked(rasters, chosen)
        pairs = _on_common_ground(
            tuple(aligned_pair(sharp, raster, assume_aligned=assume_aligned) for raster in rasters)
        )
        yield GuidedPair(
            groups=pairs,
            order=order,
            pairs=pairs,
            factor=guides_factor(pairs[0]),
            ms_file=_one_file_a_band(sharp, [pair.ms_file for pair in pairs], order),
        )


def _grouped(
    stack: ExitStack, sources: Sequence[Source], nodata: Nodata
) -> tuple[list[Raster], list[OutputBand]]:
    """One raster a grid, and where each band of the sources in turn is among them."""
    groups: dict[tuple[object, ...], list[tuple[Source, Raster]]] = {}
    grids = []
    for source in sources:
        alone = stack.enter_context(open_raster(source, nodata=nodata))
        grid = (alone.height, alone.width, str(alone.crs), *(round(v, 6) for v in alone.transform))
        # A file of several bands is a group of its own: such files do not stack.
        key = (*grid, name_of(source) if alone.count > 1 else "")
        groups.setdefault(key, []).append((source, alone))
        grids.append(key)
    rasters = []
    for members in groups.values():
        paths = tuple(source for source, _ in members)
        first = members[0][1]
        rasters.append(
            first if len(paths) == 1 else stack.enter_context(open_raster(paths, nodata=nodata))
        )
    index, counts, listed = list(groups), [0] * len(groups), []
    for key in grids:
        group = index.index(key)
        count = rasters[group].count if len(groups[key]) == 1 else 1
        listed += [(group, counts[group] + band) for band in range(count)]
        counts[group] += count
    return rasters, listed


def _picked(
    rasters: list[Raster], chosen: list[OutputBand]
) -> tuple[list[Raster], tuple[OutputBand, ...]]:
    """Rasters of the bands chosen alone, and the output's order among these."""
    own: dict[int, list[int]] = {}
    for group, band in chosen:
        if group != GUIDES and band not in own.setdefault(group, []):
            own[group].append(band)
    if not own:
        raise SceneError("`bands` names guides alone; expected a band that is to be fused")
    places = {group: i for i, group in enumerate(own)}
    order = tuple(
        (group, band) if group == GUIDES else (places[group], own[group].index(band))
        for group, band in chosen
    )
    return [rasters[group].pick([b + 1 for b in bands]) for group, bands in own.items()], order


def _on_common_ground(pairs: tuple[GeoPair, ...]) -> tuple[GeoPair, ...]:
    """The pairs, cut to the ground of all, where all their MS pixels begin at one guide pixel."""
    axes = [
        _common(
            [pair.pan_origin[axis] for pair in pairs],
            [pair.ratio for pair in pairs],
            [pair.shape[axis] for pair in pairs],
        )
        for axis in (0, 1)
    ]
    (top, height), (left, width) = axes
    cut = []
    for pair in pairs:
        down, along = (top - pair.pan_origin[0], left - pair.pan_origin[1])
        row, column = pair.ms_origin
        shape = height // pair.ratio, width // pair.ratio
        check_side(shape)
        cut.append(
            replace(
                pair,
                shape=shape,
                pan_origin=(top, left),
                ms_origin=(row + down // pair.ratio, column + along // pair.ratio),
            )
        )
    return tuple(cut)


def _common(origins: list[int], ratios: list[int], sizes: list[int]) -> tuple[int, int]:
    """Start and length of the overlap along one axis, guide pixels. Raises: SceneError."""
    unit = math.lcm(*ratios)
    first = max(origins)
    end = min(o + r * n for o, r, n in zip(origins, ratios, sizes, strict=True))
    for start in range(first, first + unit):
        if all((start - o) % r == 0 for o, r in zip(origins, ratios, strict=True)):
            length = (end - start) // unit * unit
            if length <= 0:
                raise SceneError("the guides and the MS files have no ground in common")
            return start, length
    raise SceneError(
        "pixels of the MS's grids begin at no common pixel of the guides': fuse the bands of each "
        "grid by themselves"
    )


def _one_file_a_band(sharp: Raster, rasters: list[Raster], order: Sequence[OutputBand]) -> Raster:
    """The output's bands as files of one band each, whose metadata a writer carries on.

    Raises: SceneError if dtypes differ.
    """
    paths, files, facts = [], [], []
    for group, band in order:
        raster = sharp if group == GUIDES else rasters[group]
        several = len(raster.files) > 1
        at = raster.bands[band] - 1 if several else 0
        own, place = raster.band_facts[band]
        paths.append(raster.paths[at])
        files.append(raster.files[at])
        facts.append(
            replace(
                own,
                colors=(own.colors[place],),
                band_tags=(own.band_tags[place],),
                descriptions=(own.descriptions[place],),
                scales=(own.scales[place],),
                offsets=(own.offsets[place],),
                units=(own.units[place],),
            )
        )
    for path, other in zip(paths, facts, strict=True):
        if other.dtype != facts[0].dtype:
            raise SceneError(
                f"all bands of the output must share their dtype; {name_of(path)} has "
                f"{other.dtype}, {name_of(paths[0])} {facts[0].dtype}"
            )
    return Raster(
        paths=tuple(paths),
        files=tuple(files),
        facts=tuple(facts),
        bands=tuple(range(1, len(paths) + 1)),
        given=rasters[0].given,
    )

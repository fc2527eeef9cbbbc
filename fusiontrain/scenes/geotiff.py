"""A GeoTIFF pair, read whole into a Scene."""

from collections.abc import Sequence
from pathlib import Path

from affine import Affine
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.gdal_environment import Source
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.grid_alignment import open_pair
from fusiontrain.scenes.metadata import (
    Sidecar,
    assume_depth,
    check_dn,
    check_size,
    read_sidecar,
)
from fusiontrain.scenes.missing_values import empty_bands
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.raster import Nodata
from fusiontrain.scenes.scene import Geo, Scene
from shards.sensors import GENERIC, Sensor, match_sensor


def read_scene(
    pan: Source,
    ms: Source | Sequence[Source],
    *,
    name: str,
    sensor: Sensor | None = None,
    guess: Sensor | None = None,
    bands: Sequence[str] = (),
    gt: Path | None = None,
    sidecar: Path | None = None,
    nodata: Nodata = None,
) -> Scene:
    """The common ground of a pair, DN, with all that is known of it.

    `sensor` overrules the sidecar, which overrules `guess`. Bits: the sidecar's; the sensor's,
    where the data fit; else the least that hold the data. `gt` lies on the PAN's grid. `nodata` as
    open_pair takes it.
    Raises: SceneError as open_pair does; or if the sidecar and the files disagree, the values are
            no DN, or the scene is too large for memory.
    """
    facts = Sidecar() if sidecar is None else read_sidecar(sidecar)
    with open_pair(pan, ms, nodata=nodata) as pair:
        _check_facts(name, facts, pair)
        h, w = pair.shape
        H, W = h * pair.ratio, w * pair.ratio
        truth_shape = (0,) if gt is None else (pair.bands, H, W)
        check_size(name, (pair.bands, h, w), (1, H, W), truth_shape)
        part = pair.read(Box(top=0, left=0, bottom=h, right=w))
        valid = part.valid
        truth = None
        if gt is not None:
            truth, truth_valid = _read_truth(name, gt, pair)
            valid = valid & truth_valid
        if not bool(valid.any()):
            empty = empty_bands(pair.pan_file) + empty_bands(pair.ms_file)
            raise SceneError(f"{name} has no pixel at which PAN and MS both have data{empty}")
        row, sensor_note = _sensor(sensor, facts, guess)
        top = check_dn(name, part.ms, part.pan, truth)
        bits, bits_note = _depth(name, row, facts, top, pair)
        notes = (pair.note, sensor_note, bits_note)
        return Scene(
            name=name,
            ms=part.ms,
            pan=part.pan,
            gt=truth,
            valid=None if bool(valid.all()) else valid,
            sensor=row.only(facts.bands or bands),
            bits=bits,
            geo=_geo(pair) if pair.placed else None,
            note="; ".join(filter(None, notes)),
        )


def _geo(pair: GeoPair) -> Geo:
    crs = pair.pan_file.crs
    a, b, c, d, e, f = pair.transform[:6]
    return Geo(crs="" if crs is None else str(crs.to_wkt()), transform=(a, b, c, d, e, f))


def _check_facts(name: str, facts: Sidecar, pair: GeoPair) -> None:
    if facts.bands is not None and len(facts.bands) != pair.bands:
        raise SceneError(f"{name}: its JSON names {len(facts.bands)} bands; MS has {pair.bands}")
    if facts.ratio is not None and facts.ratio != pair.ratio:
        raise SceneError(f"{name}: its JSON says ratio {facts.ratio}; the files have {pair.ratio}")


def _sensor(given: Sensor | None, facts: Sidecar, guess: Sensor | None) -> tuple[Sensor, str]:
    if given is not None:
        return given, ""
    if facts.sensor is not None:
        row = match_sensor(facts.sensor)
        return (
            (GENERIC, f"no row for sensor {facts.sensor!r}: generic") if row is None else (row, "")
        )
    if guess is not None:
        return guess, f"{guess.name} by its name"
    return GENERIC, "sensor unknown: generic"


def _depth(name: str, sensor: Sensor, facts: Sidecar, top: float, pair: GeoPair) -> tuple[int, str]:
    if facts.bit_depth is None:
        widest = max(pair.dtype.itemsize, pair.pan_file.dtype.itemsize)
        return assume_depth(sensor, top, most=min(16, 8 * widest))
    if top > 2**facts.bit_depth - 1:
        raise SceneError(
            f"{name}: its JSON says {facts.bit_depth} bits, at most {2**facts.bit_depth - 1}; "
            f"DN run to {top:g}: correct bit_depth"
        )
    return facts.bit_depth, ""


def _read_truth(name: str, path: Path, pair: GeoPair) -> tuple[Tensor, Tensor]:
    """(C, H, W) of the overlap, and where it has data."""
    with open_raster(path) as file:
        pan = pair.pan_file
        offset = ~pan.transform @ file.transform
        same = (file.height, file.width) == (pan.height, pan.width)
        if (
            file.count != pair.bands
            or not same
            or not offset.almost_equals(Affine.identity(), 1e-3)
        ):
            raise SceneError(
                f"{name}: gt must have {pair.bands} bands on the PAN's grid of "
                f"{pan.height}x{pan.width}; {path} has {file.count} bands of "
                f"{file.height}x{file.width}, its corner {offset.f:.2f} rows, {offset.c:.2f} "
                "columns off"
            )
        top, left = pair.pan_origin
        h, w = (side * pair.ratio for side in pair.shape)
        image, valid = file.read_valid(Box(top=top, left=left, bottom=top + h, right=left + w))
        return image.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0), valid

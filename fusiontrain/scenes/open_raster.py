"""Files opened and checked: one with all its bands, or several single-band files stacked."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import DescribedFile, Mosaic
from fusiontrain.scenes.file_facts import FileFacts, read_facts
from fusiontrain.scenes.gdal_environment import (
    ReadError,
    Source,
    gdal_name,
    is_dataset,
    is_local,
    name_of,
    reason,
    undecodable_messages,
)
from fusiontrain.scenes.grids import STACK_TOLERANCE
from fusiontrain.scenes.named_files import (
    check_files,
    check_overview_name,
    dataset_sidecars,
    vrt_sources,
)
from fusiontrain.scenes.quality_mask import open_mask
from fusiontrain.scenes.raster import Nodata, Raster
from fusiontrain.scenes.tiff_structure import check_archived_blocks

# Drivers that read what is given and its sidecars, and nothing that a file names. A VRT and a .TIL
# name others, so only a file with that suffix may be one, and named_files.py reads it first.
_BY_SUFFIX = {
    ".tif": ("GTiff",),
    ".tiff": ("GTiff",),
    ".jp2": ("JP2OpenJPEG",),
    ".vrt": ("VRT",),
    ".til": ("TIL",),
}
_DRIVERS = ("GTiff", "JP2OpenJPEG", "NITF", "HFA", "PNG", "JPEG", "ENVI", "EHdr")
_MUCH = 0.3  # share of an alpha's pixels that are full, of those that are not empty
LARGEST_BLOCK = 2**29  # bytes that GDAL unpacks at a time, as in simgen/sources/raster.py
_UNKNOWN = "not recognized"  # in what GDAL says of a file that is another driver's
_FORMATS = "GeoTIFF, COG, JP2, NITF, ERDAS .img, ENVI, .TIL, or a file .vrt"


@contextmanager
def open_raster(paths: Source | Sequence[Source], *, nodata: Nodata = None) -> Iterator[Raster]:
    """One file with all its bands, or several single-band files stacked in this order.

    `nodata`: a value that marks missing pixels, beside the file's own; "none": no value does.
    Open datasets of rasterio are used as they are, and stay open. A DescribedFile is read as its
    file is, and described as its product describes it.
    Raises: SceneError if a file cannot be read, holds colours instead of measurements, or (naming
            the odd one) if files to be stacked differ in size, CRS, transform, dtype or nodata.
    """
    paths = tuple(paths) if isinstance(paths, (tuple, list)) else (paths,)
    if not paths:
        raise SceneError("no file is given; expected one, or one a band")
    with ExitStack() as stack:
        with undecodable_messages():
            opened = [_opened(stack, path) for path in paths]
            files, facts = (tuple(each) for each in zip(*opened, strict=True))
            masks = tuple(
                open_mask(path, own, lambda mask: _opened(stack, mask))
                for path, own in zip(paths, facts, strict=True)
            )
        if len(files) > 1:
            _check_stack(paths, facts)
        yield replace(_without_alpha(paths, files, facts), given=nodata, masks=masks)


def check_pan(pan: Raster) -> None:
    """Raises: SceneError unless it has one band."""
    if pan.count != 1:
        raise SceneError(
            f"PAN must have one band; {pan.name} has {pan.count}. Were PAN and MS exchanged?"
        )


def _enter(stack: ExitStack, source: Source) -> Any:
    if isinstance(source, DescribedFile):
        source = source.source
    if isinstance(source, Mosaic):
        name = f"{source.name.replace('/', '_')}.vrt"
        memory = stack.enter_context(MemoryFile(source.vrt.encode(), filename=name))
        return stack.enter_context(memory.open(driver="VRT"))
    if not is_dataset(source):
        return stack.enter_context(_open(source))
    if source.closed or source.mode != "r":
        state = "closed" if source.closed else f"open for writing, mode {source.mode!r}"
        raise SceneError(
            f"the dataset {name_of(source)} is {state}; expected one open for reading: "
            "open it again with rasterio.open, or give its path"
        )
    return source


def _opened(stack: ExitStack, source: Source) -> tuple[Any, FileFacts]:
    file = _enter(stack, source)
    return file, _checked_facts(source, file)


def _open(path: Source) -> Any:
    suffix = Path(str(path).partition("?")[0]).suffix.lower()
    drivers = _BY_SUFFIX.get(suffix, _DRIVERS)
    first: Exception | None = None
    if is_local(path):
        path = Path(path)
        try:
            on_disk = path.exists()
        except (OSError, ValueError) as error:  # a NUL in the name
            raise SceneError(f"cannot read {path}: {reason(error)}") from error
        if on_disk:
            check_files(path)
            _check_named_overviews(path)
    elif drivers[0] in ("VRT", "TIL") or str(path).lower().startswith("vrt://"):
        raise SceneError(f"cannot read {path}: it names other files; expected one on this machine")
    else:
        check_archived_blocks(gdal_name(path))
    for driver in drivers:
        try:
            return _open_by(path, driver)
        except (*ReadError, OSError, ValueError, TypeError) as error:
            if first is None or _UNKNOWN in str(first):
                first = error
    assert first is not None  # no list of drivers is empty
    why = f"no known format; expected {_FORMATS}" if _UNKNOWN in str(first) else reason(first)
    why = why.removeprefix(f"{path}: ")  # GDAL names the file too
    raise SceneError(f"cannot read {path}: {why}") from first


def _check_named_overviews(path: Path) -> None:
    """Raises: SceneError if what GDAL opens with a file says where overviews lie, save beside it.

    GDAL follows the names in masks, overviews and sources of a VRT as soon as these are open.
    """
    sources = vrt_sources(path) if path.suffix.lower() == ".vrt" else []
    for file in (path, *sources):
        for sidecar in dataset_sidecars(file):
            pam = sidecar.with_name(f"{sidecar.name}.aux.xml")
            named = _overview_name(sidecar, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR")
            if named or (pam.is_file() and re.search(rb"OVERVIEW|&#", pam.read_bytes())):
                raise SceneError(
                    f"{sidecar}, beside {file}, says that overviews of its own lie elsewhere; "
                    "expected none: remove it, or make it again (gdaladdo)"
                )
    for source in sources:
        if source.suffix.lower() not in (".vrt", ".til"):
            _check_overviews_of(source, _overview_name(source))


def _check_overviews_of(path: Any, name: str | None) -> None:
    """`name`: where a file says its overviews lie: beside it, and these name no others."""
    check_overview_name(path, name)
    if not name:
        return
    overviews = path.absolute().parent / name.removeprefix(":::BASE:::")
    if overviews.is_file():
        _check_named_overviews(overviews)
        if _overview_name(overviews):
            raise SceneError(
                f"{overviews}, the overviews of {path}, says that overviews of its own lie "
                "elsewhere; expected none: remove it, or make it again (gdaladdo)"
            )


def _overview_name(path: Path, **options: str) -> str | None:
    for driver in _DRIVERS:
        try:
            with rasterio.Env(**options), warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(path, driver=driver) as file:
                    return str(file.tags(ns="OVERVIEWS").get("OVERVIEW_FILE", ""))
        except (*ReadError, OSError, ValueError, TypeError, LookupError):
            continue  # another driver's, or one that GDAL does not open either
    return None


def _open_by(path: Source, driver: str) -> Any:
    # Beside a file elsewhere GDAL would look for sidecars, one request to its server each.
    alone = {} if isinstance(path, Path) else {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
    with warnings.catch_warnings(), rasterio.Env(**alone):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # grid_alignment.py says so
        return rasterio.open(path, driver=driver)


def _checked_facts(source: Source, file: Any) -> FileFacts:
    if isinstance(source, DescribedFile):
        return source.described(_checked_facts(source.source, file))
    name = name_of(source)
    if not is_dataset(source) and not isinstance(source, Mosaic):
        try:
            overviews = file.tags(ns="OVERVIEWS").get("OVERVIEW_FILE")
        except (*ReadError, ValueError, LookupError) as error:
            raise SceneError(
                f"cannot read {name}: its tags are damaged ({reason(error)})"
            ) from error
        _check_overviews_of(Path(source) if is_local(source) else name, overviews)
    facts = read_facts(name, file)
    _check_contents(name, facts)
    return facts


def _without_alpha(
    paths: tuple[Source, ...], files: tuple[Any, ...], facts: tuple[FileFacts, ...]
) -> Raster:
    """The measurements, and the mask: a band that is truly an alpha, or the file's own."""
    count = facts[0].count if len(files) == 1 else len(files)
    all_bands = Raster(
        paths=paths, files=files, facts=facts, bands=tuple(range(1, count + 1)), alpha=None
    )
    if len(files) > 1 or count == 1 or facts[0].colors[-1] is not ColorInterp.alpha:
        return all_bands
    values = all_bands.pick([count]).sample(shown=True)[0].numpy()
    if not _is_alpha(values, facts[0].dtype):
        return all_bands
    return replace(all_bands, bands=tuple(range(1, count)), alpha=count)


def _is_alpha(values: np.ndarray, dtype: np.dtype) -> bool:
    """Near infrared is often flagged as alpha; of an alpha that hides not all, much is full.

    Its edges may be soft: values between empty and full.
    """
    shown = values[values != 0]
    if not shown.size:
        return True
    top = float(shown.max())
    near = 1e-3 if dtype.kind == "f" else 0.0  # filters leave rounding errors
    fulls = (1.0, 255.0) if near else (1.0, 255.0, float(np.iinfo(dtype).max))
    is_full = any(abs(top - full) <= near for full in fulls)
    return is_full and float((shown >= top - near).mean()) > _MUCH


def _check_contents(name: str, facts: FileFacts) -> None:
    if facts.block_bytes > LARGEST_BLOCK:
        raise SceneError(
            f"{name} is stored in blocks of {facts.block_bytes / 2**20:.0f} MB; expected at most "
            f"{LARGEST_BLOCK / 2**20:.0f} MB, as one is unpacked at a time: write it in tiles "
            "(gdal_translate -co TILED=YES)"
        )
    if ColorInterp.palette in facts.colors:
        raise SceneError(
            f"{name} has a palette: its values are numbers of colours; expected measurements (DN): "
            "use the product before it was coloured"
        )
    # GDAL turns these into RGB(A) as it reads; only this item of metadata shows it.
    space = facts.domains.get("SOURCE_COLOR_SPACE", "YCbCr")
    if space != "YCbCr":
        raise SceneError(
            f"{name} is tagged as {space} and would be read as RGB made from it; expected plain "
            "bands: write it again as photometric minisblack, or correct its tag 262 to 1"
        )


def _check_stack(paths: tuple[Source, ...], facts: tuple[FileFacts, ...]) -> None:
    for path, file in zip(paths, facts, strict=True):
        if file.count != 1:
            raise SceneError(
                f"files to be stacked must have one band each; {name_of(path)} has {file.count}"
            )
    properties: dict[str, list[Any]] = {
        "size": [f"{file.height}x{file.width}" for file in facts],
        "CRS": [str(file.crs) for file in facts],
        "transform": [_near(file, facts[0]) for file in facts],
        "dtype": [str(file.dtype) for file in facts],
        "nodata": [str(file.nodata) for file in facts],
    }
    for name, values in properties.items():
        usual, _ = Counter(values).most_common(1)[0]
        for path, value in zip(paths, values, strict=True):
            if value != usual:
                raise SceneError(
                    f"files to be stacked must share their {name}; {name_of(path)} has {value}, "
                    f"others have {usual}"
                )


def _near(file: FileFacts, first: FileFacts) -> tuple[float, ...]:
    """The geotransform: of the first file, where the corners of both lie at the same pixels."""
    apart = ~first.transform @ file.transform
    corners = ((0, 0), (file.width, 0), (0, file.height), (file.width, file.height))
    moved = max(abs(v - w) for at in corners for v, w in zip(apart @ at, at, strict=True))
    return tuple((first if moved <= STACK_TOLERANCE else file).transform[:6])

"""Files that GDAL would open: whether they are whole, and which beside the given one it may.

A mask, overviews, a VRT or a .TIL make GDAL open other files, by their contents and by names in
them, on the network too. What is not given by the user must be a raster by its first bytes.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from fusiontrain.errors import SceneError
from fusiontrain.scenes.tiff_structure import check_blocks
from shards.bounded_reading import is_special

_MAGIC = (
    b"II*\0",  # TIFF
    b"MM\0*",
    b"II+\0",  # BigTIFF
    b"MM\0+",
    b"\0\0\0\x0cjP  \r\n",  # JP2
    b"\xff\x4f\xff\x51",  # a JPEG 2000 codestream
    b"EHFA_HEADER_TAG",
    b"NITF0",
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",  # JPEG
)
_DATASETS = (".msk", ".ovr")  # sidecars that GDAL opens as rasters
# Other sidecars: place, metadata and RPCs, as GDAL's readers name them.
_TEXTS = re.compile(
    r"\.(aux|eph|hdr|imd|met|pass|prj|pvl|rpb|rpc|tab|txt|wld|xml|[a-z0-9]{1,4}w)", re.IGNORECASE
)
_SHORTEST = 4  # letters that the names of an image and of its metadata share
_LARGEST_TEXT = 2**24  # bytes of a .vrt or .TIL
_DEEPEST = 4  # VRTs of VRTs
_NAMING = ("SourceFilename", "SourceDataset", "Filename", "DEMPath", "CutlineDS")
_REFUSED = ("PixelFunctionCode", "GDALWarpOptions/Option[@name='PATH_TO_TRANSFORMER']")
_TIL_NAME = re.compile(rb'filename\s*=\s*"([^"]*)"', re.IGNORECASE)


def check_is_there(name: str) -> None:
    """Of a name that is none of GDAL's (/vsi..., X:file).

    Raises: SceneError if no file has it; as check_no_special.
    """
    if name.startswith("/vsi") or ":" in name[2:]:  # before: a drive of Windows
        return
    try:
        Path(name).stat()
        check_no_special(Path(name))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SceneError(f"cannot read {name}: {why}") from error


def check_no_special(path: Path) -> None:
    """Raises: SceneError for a FIFO, at which GDAL would wait, a socket or a device."""
    if is_special(path):
        raise SceneError(
            f"cannot read {path}: it is a device, a FIFO or a socket; expected a file, which is "
            "read at several places: write what comes of it to a file first"
        )


def check_files(path: Path, depth: int = 0) -> None:
    """Raises: SceneError if a TIFF's blocks lie beyond it, or opening it opens what it may not.

    Masks and overviews beside it must be rasters in its folder; the sources of a VRT local
    rasters or VRTs, raw ones beneath its folder; the tiles of a .TIL rasters in its folder.
    As check_no_special.
    """
    check_no_special(path)
    match path.suffix.lower():
        case ".vrt":
            _check_vrt(path, depth)
        case ".til":
            for name in _TIL_NAME.findall(_text_of(path)):
                tile = name.decode("latin-1")
                _check_beside(path, tile, "tile")
                if (path.absolute().parent / tile).is_file():
                    check_blocks(path.absolute().parent / tile)
        case _:
            if path.is_file():
                check_blocks(path)
    for sidecar in _sidecars(path):
        if sidecar.suffix.lower() in _DATASETS:
            _check_beside(
                path, sidecar.name, "mask" if sidecar.suffix.lower() == ".msk" else "overview"
            )
        elif _TEXTS.fullmatch(sidecar.suffix) and not _stays(path, sidecar):
            raise SceneError(
                f"{sidecar}, beside {path}, is a link to another folder; expected sidecars in the "
                "image's own: copy it there, or remove it"
            )


def check_overview_name(path: Any, name: str | None) -> None:
    """`name`: where a file says its overviews lie. Raises: SceneError unless that is beside it."""
    if not name:
        return
    plain = name.removeprefix(":::BASE:::")
    # Without that mark GDAL takes it from the working folder.
    folder = Path(path).absolute().parent
    beside = Path(plain).name == plain and (plain != name or folder == Path().absolute())
    if not isinstance(path, Path) or not beside:
        raise SceneError(
            f"{path} says that its overviews are in {name!r}; expected a file beside it: remove "
            "the item OVERVIEW_FILE of its metadata (gdal_edit -unsetmd, or delete its .aux.xml)"
        )
    _check_beside(path, plain, "overview")


def dataset_sidecars(path: Path) -> list[Path]:
    """Masks and overviews that GDAL opens with a file, by their names."""
    return [sidecar for sidecar in _sidecars(path) if sidecar.suffix.lower() in _DATASETS]


def _sidecars(path: Path) -> list[Path]:
    """Files beside an image that GDAL may read with it, by their names."""
    try:
        return [
            entry
            for entry in path.absolute().parent.iterdir()
            if entry.name != path.name and _belongs(entry.stem.casefold(), path.stem.casefold())
        ]
    except OSError:  # a folder that may be entered but not listed
        names = [path.name + suffix for suffix in (*_DATASETS, *map(str.upper, _DATASETS))]
        return [path.with_name(name) for name in names if path.with_name(name).exists()]


def _belongs(name: str, image: str) -> bool:
    """x.tfw and x_rpc.txt to x.tif; lc08_mtl.txt to lc08_b8.tif; dim_x.xml to img_x.tif."""
    begins, _, _ = name.rpartition("_")
    _, _, ends = name.replace("-", "_").partition("_")
    return (
        name.startswith(image)
        or (len(begins) >= _SHORTEST and image.startswith(begins))
        or (len(ends) >= _SHORTEST and image.replace("-", "_").endswith(ends))
    )


def _stays(path: Path, beside: Path) -> bool:
    """Whether it is no link, or one into the image's folder: the one named, or the image's own."""
    return not beside.is_symlink() or beside.resolve().parent in (
        path.resolve().parent,
        path.absolute().parent.resolve(),
    )


def _check_beside(path: Path, name: str, what: str) -> None:
    """Raises: SceneError unless `name` is a raster in the folder of `path`."""
    beside = path.absolute().parent / name
    if Path(name).name != name or not _stays(path, beside):
        raise SceneError(
            f"{path} names its {what} {name!r}; expected a file in its own folder: "
            "correct it, or remove it"
        )
    if beside.exists() and not _is_raster(beside):
        raise SceneError(
            f"{beside}, the {what} of {path}, is no TIFF or other raster; expected what GDAL "
            "writes: remove it, or make it again"
        )


def _is_raster(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(16).startswith(_MAGIC)
    except OSError as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def _text_of(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise SceneError(f"cannot read {path}: expected a file")
        if path.stat().st_size > _LARGEST_TEXT:
            raise SceneError(f"{path} is too large; expected under {_LARGEST_TEXT // 2**20} MB")
        return path.read_bytes()
    except OSError as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def vrt_sources(path: Path) -> list[Path]:
    """Every file that a VRT names, and its VRTs name. Raises: SceneError as check_files."""
    sources = []
    for element in _vrt(path).iter():
        if element.tag in _NAMING and element.text:
            source = _source_path(path, element)
            sources.append(source)
            if source.suffix.lower() == ".vrt":
                sources.extend(vrt_sources(source))
    return sources


def _source_path(vrt: Path, element: ET.Element) -> Path:
    relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
    return (vrt.absolute().parent if relative else Path()) / (element.text or "")


def _vrt(path: Path) -> ET.Element:
    text = _text_of(path)
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise SceneError(f"{path} declares a document type; expected plain XML, as GDAL writes it")
    try:
        return ET.fromstring(text)  # noqa: S314 - entities are refused above
    except (ET.ParseError, ValueError, LookupError) as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def _check_vrt(path: Path, depth: int) -> None:
    if depth > _DEEPEST:
        raise SceneError(f"{path} is a VRT of VRTs, {depth} deep; expected at most {_DEEPEST}")
    root = _vrt(path)
    if any(root.find(f".//{element}") is not None for element in _REFUSED):
        raise SceneError(f"{path} holds a program; expected a VRT of files and bands alone")
    raw = {
        id(element)
        for band in root.iter("VRTRasterBand")
        if band.get("subClass") == "VRTRawRasterBand"
        for element in band.iter("SourceFilename")
    }
    for name in _NAMING:
        for element in root.iter(name):
            _check_source(path, element, raw=id(element) in raw, depth=depth)


def _check_source(vrt: Path, element: ET.Element, *, raw: bool, depth: int) -> None:
    name, source = element.text or "", _source_path(vrt, element)
    try:
        local = source.is_file()
    except (OSError, ValueError):
        local = False
    if not local:
        raise SceneError(
            f"{vrt} names {name!r}; expected files on this machine: download it, unpack it, or "
            "give it to the command itself"
        )
    if raw and not source.resolve().is_relative_to(vrt.resolve().parent):
        raise SceneError(
            f"{vrt} reads {name!r} as raw numbers; expected a file beneath its own folder"
        )
    if source.suffix.lower() in (".vrt", ".til"):
        check_files(source, depth + 1)
    elif raw:
        return
    elif not _is_raster(source):
        raise SceneError(f"{vrt} names {name!r}, which is no TIFF, JP2 or other known raster")
    else:
        check_files(source, depth + 1)

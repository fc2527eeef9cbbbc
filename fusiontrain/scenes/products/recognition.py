"""Which product a file, folder or URL is: by its metadata's names, then read."""

import re
from collections.abc import Sequence
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import DescribedFile
from fusiontrain.scenes.output_formats import is_raster_name
from fusiontrain.scenes.products import dimap, landsat, maxar, sentinel2, stac
from fusiontrain.scenes.products.package import FolderPackage, Package, ZipPackage
from fusiontrain.scenes.products.product import Product

EXPECTED = (
    "expected a product (Sentinel-2 .SAFE or its zip, a STAC item, Landsat 7, 8, 9, Maxar PAN and "
    "MUL, DIMAP PAN and MS) or one pair"
)
_URL = re.compile(r"https?://", re.IGNORECASE)
_PACKED = re.compile(r".+\.(tar|tar\.\w+|tgz)", re.IGNORECASE)
_METADATA = re.compile(
    rf"({sentinel2.METADATA.pattern}|{landsat.METADATA.pattern}|{dimap.METADATA.pattern}"
    r"|.+\.(safe|zip|json|til|imd))",
    re.IGNORECASE,
)


def is_product_call(first: str, out: Path) -> bool:
    """Whether two names mean PRODUCT OUT, and not FOLDER OUT_FOLDER.

    They do where the first is a file or URL, or OUT is named as a raster is and is no folder.
    """
    if _URL.match(first) or Path(first).suffix.lower() == ".safe" or not Path(first).is_dir():
        return True
    return is_raster_name(out) and not out.is_dir()


def check_three_names(first: str, out: Path) -> None:
    """Raises: SceneError if two names are two images: a PAN and an MS without OUT."""
    if not is_raster_name(out) or _METADATA.fullmatch(Path(first).name):
        return
    if is_raster_name(Path(first)) and Path(first).is_file():
        raise SceneError(
            f"one pair takes three names: fuse PAN.tif MS.tif OUT.tif; got {first} and {out}"
        )


def find_product(first: str | Path) -> Product:
    """Raises: SceneError if it is no product, several, or one that is damaged or incomplete."""
    if isinstance(first, str) and _URL.match(first):
        return stac.read_stac(stac.read_item(first), first)
    path = Path(first)
    if path.is_dir():
        return _of_folder(path, path)
    if not path.is_file():
        raise SceneError(f"{path} is no folder and no file; {EXPECTED}")
    if _PACKED.fullmatch(path.name):
        raise SceneError(f"{path} is packed: unpack it first, then give the folder")
    if not _METADATA.fullmatch(path.name):
        raise SceneError(
            f"{path} is no product's file; {EXPECTED}; one pair of files takes three names: PAN "
            "MS OUT"
        )
    match path.suffix.lower():
        case ".zip":
            package = ZipPackage.of(path, sentinel2.METADATA)
            return _sentinel2(package, _top(package, sentinel2.METADATA), path)
        case ".json" if not landsat.METADATA.fullmatch(path.name):
            return stac.read_stac(stac.read_item(path), path)
    if path.suffix.lower() in (".til", ".imd") or dimap.METADATA.fullmatch(path.name):
        return _of_folder(path.absolute().parent.parent, path)  # PAN and MS in folders beside
    return _of_folder(path.absolute().parent, path)


def _of_folder(root: Path, place: Path) -> Product:
    package = FolderPackage.of(root)
    named = _top(package, sentinel2.METADATA)
    if named or root.name.upper().endswith(".SAFE"):
        return _sentinel2(package, named, place)
    mtl = sorted(_top(package, landsat.METADATA), key=_preference)
    if place.name in mtl:
        mtl = [place.name]
    if len({name.rpartition(".")[0] for name in mtl}) == 1:
        return landsat.read_landsat(package, mtl[0], place)
    if dimap.holds_dimap(package):
        return dimap.read_dimap(package, place)
    if maxar.holds_maxar(package):
        return maxar.read_maxar(package, place)
    inner = sorted({n.split("/")[0] for n in package.files if ".SAFE/" in n and n.count("/") > 0})
    if len(inner) == 1:  # as some tools unpack a zip: a folder around the product's
        return _of_folder(root / inner[0], place)
    return _pair(root, place)


def _top(package: Package, pattern: re.Pattern[str]) -> list[str]:
    return [name for name in package.files if "/" not in name and pattern.fullmatch(name)]


def _sentinel2(package: Package, named: Sequence[str], place: Path) -> Product:
    if len(named) != 1:
        raise SceneError(
            f"{package.name} has no MTD_MSIL1C.xml or MTD_MSIL2A.xml; expected a product of "
            "Sentinel-2 of level 1C or 2A, in the format since December 2016: download it again"
        )
    return sentinel2.read_sentinel2(package, named[0], place)


def _preference(name: str) -> int:
    return (".txt", ".json", ".xml").index(Path(name).suffix.lower())


def _pair(root: Path, place: Path) -> Product:
    """The one pair of the layouts that `benchmark` knows."""
    from fusiontrain.scenes.layouts import list_folder  # takes torch, which others do without

    listing = list_folder(root)
    pairs = [pair for pair in listing.pairs if pair.pan.suffix.lower() != ".mat"]
    if len(pairs) != 1:
        found = f"it has {len(pairs)} pairs" if pairs else "it has none"
        raise SceneError(f"{root}: {EXPECTED}; {found}: for every pair of a folder give OUT_FOLDER")
    (pair,) = pairs
    return Product(
        name=pair.name,
        kind="pair",
        sharp=(DescribedFile(source=pair.pan),),
        ms=tuple(DescribedFile(source=path) for path in pair.ms),
        notes=(f"not there, so left out: {', '.join(pair.missing)}",) if pair.missing else (),
        place=place,
    )

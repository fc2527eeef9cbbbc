"""What one open file says of itself, read once: a damaged header ends in one line."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import ReadError, reason

_MOST_BANDS = 2**16


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """Properties of an open dataset; tuples have one value a band."""

    height: int
    width: int
    dtype: np.dtype
    nodata: float | None
    saturated: float | None = None  # marks missing pixels too; of a product's metadata
    crs: Any
    transform: Affine
    colors: tuple[ColorInterp, ...]
    masked: bool  # it has a mask of its own, which is no alpha band
    bits: int | None  # NBITS, where they are fewer than the dtype's
    block_bytes: int  # of the largest block, all that GDAL unpacks at a time
    tags: dict[str, str]
    domains: dict[str, str]  # tags of every domain: where products name their satellite
    band_tags: tuple[dict[str, str], ...]
    descriptions: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    units: tuple[str | None, ...]
    rpcs: Any
    gcps: tuple[list[Any], Any]
    files: tuple[str, ...]  # itself, sidecars and the sources of a VRT, as GDAL names them

    @property
    def count(self) -> int:
        return len(self.colors)


def read_facts(name: str, file: Any) -> FileFacts:
    """Raises: SceneError naming the file, if a property cannot be read or means nothing."""
    try:
        _check_kind(name, file)
        facts = _read(file)
    except SceneError:
        raise
    except (
        *ReadError,
        ArithmeticError,
        AttributeError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise SceneError(
            f"cannot read {name}: its header is damaged ({reason(error)}): copy it again, or "
            "write it anew (gdal_translate)"
        ) from error
    numbers = facts.transform[:6]
    if not all(map(math.isfinite, numbers)) or not _can_be_inverted(facts.transform):
        raise SceneError(
            f"{name} has a geotransform without a size, {tuple(numbers)}; expected six finite "
            "numbers: give it another (gdal_edit -a_ullr)"
        )
    return facts


def _can_be_inverted(transform: Affine) -> bool:
    """As GDAL has it, which warps by no other."""
    largest = max(map(abs, (transform.a, transform.b, transform.d, transform.e)))
    return abs(transform.determinant) > 1e-10 * largest * largest


def _check_kind(name: str, file: Any) -> None:
    if file.count == 0:
        raise SceneError(f"{name} has no bands of its own; expected a raster (name a subdataset)")
    if file.count > _MOST_BANDS:
        raise SceneError(f"{name} claims {file.count} bands; expected at most {_MOST_BANDS}")
    if np.dtype(file.dtypes[0]).kind not in "uif" or len(set(file.dtypes)) != 1:
        raise SceneError(
            f"{name} must have one integer or float dtype for all bands; "
            f"got {', '.join(sorted(set(file.dtypes)))}"
        )


def _read(file: Any) -> FileFacts:
    structure = file.tags(1, ns="IMAGE_STRUCTURE")
    dtype = np.dtype(file.dtypes[0])
    bits = int(structure.get("NBITS", 0))
    domains = dict(file.tags())
    for domain in file.tag_namespaces():
        if domain and not domain.startswith(("xml:", "json:")):
            domains.update(file.tags(ns=domain))
    bands = range(1, file.count + 1)
    values = file.count if structure_is_pixel(file) else 1
    nodata = file.nodata
    return FileFacts(
        height=int(file.height),
        width=int(file.width),
        dtype=dtype,
        nodata=None if nodata is None else float(nodata),
        crs=file.crs,
        transform=file.transform,
        colors=tuple(file.colorinterp),
        masked=any(
            MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
            for flags in file.mask_flag_enums
        ),
        bits=bits if 0 < bits < 8 * dtype.itemsize and dtype.kind == "u" else None,
        block_bytes=max(h * w for h, w in file.block_shapes) * values * dtype.itemsize,
        tags=_texts(file.tags()),
        domains=_texts(domains),
        band_tags=tuple(_texts(file.tags(band)) for band in bands),
        descriptions=tuple(file.descriptions),
        scales=tuple(file.scales),
        offsets=tuple(file.offsets),
        units=tuple(file.units),
        rpcs=file.rpcs,
        gcps=(file.gcps[0], file.gcps[1] or CRS()),  # rasterio writes none with None
        files=tuple(map(str, file.files)),
    )


def structure_is_pixel(file: Any) -> bool:
    """Whether a block holds all bands."""
    return file.interleaving is not None and file.interleaving.name == "pixel"


def _texts(tags: dict[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in tags.items()}

"""Sentinel-2's masks of lost pixels, one a band in QI_DATA: images since baseline 04.00, else GML.

Source: Sentinel-2 Products Specification Document, S2-PDGS-TAS-DI-PSD: MSK_QUALIT has the layers
lost and degraded ancillary packets, lost and degraded MSI packets, defective, no data, partly
corrected crosstalk, saturated. As NASA's HLS does, what was lost or degraded on its way counts;
here what the instrument did not see too. Defective pixels are interpolated and stay, as do others.
"""

import math
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import MaskImage, MaskPolygons, Ring
from fusiontrain.scenes.products.package import Package
from fusiontrain.scenes.products.product_xml import LARGEST, parse_xml

Masks = dict[str, MaskImage | MaskPolygons]
_LAYERS = (3, 4, 6)  # lost, degraded, no data
_TYPES = ("MSI_LOST", "MSI_DEG", "QT_NODATA_PIXELS")
_MASK = re.compile(r"MSK_(QUALIT|TECQUA|NODATA)_(B\d[\dA])\.(jp2|gml)")


def read_masks(package: Package, images: dict[str, str]) -> Masks:
    """Band -> its mask, where there is one; `images`: band -> path of its image.

    Raises: SceneError if a mask of polygons is damaged.
    """
    folder = "/".join(next(iter(images.values())).split("/")[:2]) + "/QI_DATA/"
    found: Masks = {}
    polygons: dict[str, list[tuple[Ring, ...]]] = {}
    for name in package.files:
        matched = _MASK.fullmatch(name.removeprefix(folder))
        if matched is None or not name.startswith(folder) or matched[2] not in images:
            continue
        kind, band, suffix = matched.groups()
        if suffix == "gml":
            shown = f"{package.name}/{name}"
            root = parse_xml(package.read(name, LARGEST), shown)
            polygons.setdefault(band, []).extend(_polygons(root, shown))
        elif kind == "QUALIT":
            found[band] = MaskImage(source=package.source(name), layers=_LAYERS)
    return {band: MaskPolygons(polygons=tuple(own)) for band, own in polygons.items()} | found


def _polygons(root: Any, shown: str) -> Iterable[tuple[Ring, ...]]:
    for feature in root.iter("MaskFeature"):
        if (feature.findtext("maskType") or "").strip() not in _TYPES:
            continue
        for polygon in feature.iter("Polygon"):
            places = chain(polygon.iter("exterior"), polygon.iter("interior"))
            yield tuple(_ring(e, shown) for place in places for e in place.iter("posList"))


def _ring(element: Any, shown: str) -> Ring:
    try:
        size = int(element.get("srsDimension") or 2)
        numbers = [float(text) for text in (element.text or "").split()]
    except ValueError:
        size, numbers = 0, []
    whole = size in (2, 3) and len(numbers) >= 4 * size and len(numbers) % size == 0
    if not whole or not all(map(math.isfinite, numbers)):
        raise SceneError(
            f"{shown}: a posList is no ring; expected four or more points of two or three numbers: "
            "download the product again"
        )
    return tuple(zip(numbers[::size], numbers[1::size], strict=True))

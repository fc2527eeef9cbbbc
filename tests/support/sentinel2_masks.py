"""Masks of a Sentinel-2 product's bands, as images since baseline 04.00 and as GML before."""

import numpy as np

from tests.support.geotiffs import write_geotiff

GML_TYPES = {3: "MSI_LOST", 4: "MSI_DEG", 5: "QT_DEFECTIVE_PIXELS", 6: "QT_NODATA_PIXELS"}


def write_mask_image(folder, band, rows, side, grid):
    """MSK_QUALIT of eight layers, (side, side); `rows`: layer from 1 -> (first, end) row."""
    layers = np.zeros((8, side, side), "uint8")
    for layer, (first, end) in rows.items():
        layers[layer - 1, first:end] = 1
    options = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "YCC": "NO"}
    write_geotiff(folder / f"MSK_QUALIT_{band}.jp2", layers, grid, dtype="uint8", **options)


def write_mask_polygons(folder, band, rows, side, grid):
    """The same as polygons of three numbers a point, in files of the layers' kinds."""
    for layer, (first, end) in rows.items():
        (left, north), (right, south) = grid @ (0, first + 0.01), grid @ (side, end - 0.01)
        ring = [(left, north), (right, north), (right, south), (left, south), (left, north)]
        points = " ".join(f"{x} {y} 310.5" for x, y in ring)
        kind = {5: "DEFECT", 6: "NODATA"}.get(layer, "TECQUA")
        (folder / f"MSK_{kind}_{band}.gml").write_text(
            f"""<?xml version="1.0" encoding="UTF-8"?>
<eop:Mask xmlns:eop="urn:eop" xmlns:gml="urn:gml"><eop:maskMembers><eop:MaskFeature gml:id="a">
<eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">{GML_TYPES[layer]}</eop:maskType>
<eop:extentOf><gml:Polygon><gml:exterior><gml:LinearRing>
<gml:posList srsDimension="3">{points}</gml:posList>
</gml:LinearRing></gml:exterior></gml:Polygon></eop:extentOf></eop:MaskFeature>
</eop:maskMembers></eop:Mask>"""
        )

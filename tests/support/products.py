"""Products as agencies deliver them, small: their folders, names, metadata and images.

Layouts: Sentinel-2 PSD (S2-PDGS-TAS-DI-PSD), USGS LSDS-1822 (Landsat MTL), Maxar's imagery support
data, Airbus' DIMAP V2. Images share their texture, so that every band can be fused.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from tests.support.geotiffs import write_geotiff
from tests.support.sentinel2_masks import write_mask_image, write_mask_polygons

S2_BANDS = {"B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20}
S2_BANDS |= {"B08": 10, "B8A": 20, "B09": 60, "B10": 60, "B11": 20, "B12": 20}
S2_NANOMETRES = (442.7, 492.4, 559.8, 664.6, 704.1, 740.5, 782.8, 832.8, 864.7, 945.1, 1373.5)
S2_NANOMETRES = dict(zip(S2_BANDS, (*S2_NANOMETRES, 1613.7, 2202.4), strict=True))
CORNER = Affine.translation(399_960, 4_200_000)


def texture(size, seed=0):
    """(size, size) in 0..1, coarse and fine."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.uniform(size=(-(-size // 12), -(-size // 12))), np.ones((12, 12)))
    return 0.8 * blocks[:size, :size] + 0.2 * rng.uniform(size=(size, size))


def _means(image, factor):
    h, w = (side // factor for side in image.shape)
    return image.reshape(h, factor, w, factor).mean((1, 3))


def _jp2(path, image, pixel, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_geotiff(
        path,
        image[None],
        CORNER @ Affine.scale(pixel, -pixel),
        dtype="uint16",
        driver="JP2OpenJPEG",
        QUALITY="100",
        REVERSIBLE="YES",
        NBITS=15,
        **options,
    )


def sparse_images(size):
    """Band -> (H, W) DN of a scene of `size` pixels of 10 m: data in the middle, else none."""
    patch = texture(720)
    for i, (band, pixel) in enumerate(S2_BANDS.items()):
        part = (1200 + 150 * i + (2000 - 90 * i) * _means(patch, pixel // 10)).round()
        image = np.zeros((size * 10 // pixel, size * 10 // pixel), "uint16")
        first = (size // 2 - 360) // 60 * 60 * 10 // pixel
        image[first : first + len(part), first : first + len(part)] = part
        yield band, image


def textured_images(size):
    """Band -> (H, W) DN of a scene of `size` pixels of 10 m."""
    fine = texture(size)
    for i, (band, pixel) in enumerate(S2_BANDS.items()):
        yield band, (1200 + 150 * i + (2000 - 90 * i) * _means(fine, pixel // 10)).round()


def write_safe(
    folder, *, level="2A", baseline="05.09", size=120, offset=-1000, sparse=False, lost=None
):
    """S2A_MSIL2A_....SAFE of `size` pixels of 10 m a side; sparse: large, and L2A without copies.

    `lost`: band -> {layer of MSK_QUALIT from 1: (first, end) row}, in its own pixels; these bands
    have masks, before baseline 04.00 as GML.

    L2A's copies of sharp bands at 20 and 60 m differ from the true ones, so that a reader that
    takes them shows.
    """
    number = f"N{baseline.replace('.', '')}"
    name = f"S2A_MSIL{level}_20220125T100311_{number}_R122_T33TUG_20220125T120000"
    root = Path(folder) / f"{name}.SAFE"
    granule = f"GRANULE/L{level}_T33TUG_A034445_20220125T100309"
    listed = []
    for band, image in (sparse_images if sparse else textured_images)(size):
        own = S2_BANDS[band]
        if level == "2A" and band == "B10":
            continue
        sizes = (own,) if level == "1C" or sparse or band == "B08" else (10, 20, 60)
        for pixel in sizes:
            if pixel < own:
                continue
            copy = image if pixel == own else _means(image + 500, pixel // own)
            place = "IMG_DATA" if level == "1C" else f"IMG_DATA/R{pixel}m"
            tail = band if level == "1C" else f"{band}_{pixel}m"
            path = f"{granule}/{place}/T33TUG_20220125T100311_{tail}"
            _jp2(root / f"{path}.jp2", copy, pixel)
            listed.append(path)
    (root / granule / "QI_DATA").mkdir()
    (root / granule / "QI_DATA" / "MSK_CLDPRB_60m.jp2").write_bytes(b"not read")
    for band, rows in (lost or {}).items():
        pixel = S2_BANDS[band]
        write = write_mask_image if float(baseline) >= 4 else write_mask_polygons
        grid = CORNER @ Affine.scale(pixel, -pixel)
        write(root / granule / "QI_DATA", band, rows, size * 10 // pixel, grid)
    (root / f"MTD_MSIL{level}.xml").write_text(_mtd(name, level, baseline, offset, listed))
    return root


def _mtd(name, level, baseline, offset, listed):
    files = "".join(f"<IMAGE_FILE>{path}</IMAGE_FILE>" for path in listed)
    value, tag, offsets = "QUANTIFICATION_VALUE", "RADIO_ADD_OFFSET", "Radiometric_Offset_List"
    if level == "2A":
        value, tag, offsets = (
            "BOA_QUANTIFICATION_VALUE",
            "BOA_ADD_OFFSET",
            "BOA_ADD_OFFSET_VALUES_LIST",
        )
    rows = "".join(f'<{tag} band_id="{i}">{offset}</{tag}>' for i in range(13))
    listed_offsets = f"<{offsets}>{rows}</{offsets}>" if float(baseline) >= 4 else ""
    spectra = "".join(
        f'<Spectral_Information bandId="{i}" physicalBand="{band.replace("B0", "B")}">'
        f"<RESOLUTION>{S2_BANDS[band]}</RESOLUTION><Wavelength>"
        f'<CENTRAL unit="nm">{S2_NANOMETRES[band]}</CENTRAL></Wavelength></Spectral_Information>'
        for i, band in enumerate(S2_BANDS)
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product
 xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2022-01-25T10:03:11.024Z</PRODUCT_START_TIME>
<PRODUCT_URI>{name}.SAFE</PRODUCT_URI><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake datatakeIdentifier="GS2A"><SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME></Datatake>
<Product_Organisation><Granule_List><Granule imageFormat="JPEG2000">{files}</Granule>
</Granule_List></Product_Organisation></Product_Info>
<Product_Image_Characteristics>
<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
<Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
<QUANTIFICATION_VALUES_LIST><{value} unit="none">10000</{value}></QUANTIFICATION_VALUES_LIST>
{listed_offsets}<Spectral_Information_List>{spectra}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info>
<n1:Quality_Indicators_Info><Cloud_Coverage_Assessment>12.34</Cloud_Coverage_Assessment>
</n1:Quality_Indicators_Info></n1:Level-{level}_User_Product>"""


def zipped(root):
    """NAME.zip beside the folder NAME.SAFE, stored as the agency stores it."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, f"{root.name}/{file.relative_to(root)}")
    return path


def write_stac(folder, *, size=120, offset=-0.1, suffix="tif", **properties):
    """item.json beside B01.tif and so on: assets with eo:bands and raster:bands."""
    folder.mkdir(parents=True, exist_ok=True)
    assets = {}
    for band, image in textured_images(size):
        if band == "B10":
            continue
        pixel = S2_BANDS[band]
        grid = CORNER @ Affine.scale(pixel, -pixel)
        write_geotiff(folder / f"{band}.{suffix}", image[None], grid, dtype="uint16", nodata=0)
        assets[band] = {
            "href": f"./{band}.{suffix}",
            "roles": ["data"],
            "gsd": pixel,
            "eo:bands": [{"name": band, "center_wavelength": S2_NANOMETRES[band] / 1000}],
            "raster:bands": [{"nodata": 0, "scale": 0.0001, "offset": offset}],
        }
    assets["visual"] = {
        "href": "./TCI.tif",
        "roles": ["visual"],
        "eo:bands": [{"name": "B04"}, {"name": "B03"}, {"name": "B02"}],
    }
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2A_33TUG_20220125_0_L2A",
        "properties": {"platform": "sentinel-2a", "datetime": "2022-01-25T10:03:11Z"} | properties,
        "assets": assets,
    }
    path = folder / "item.json"
    path.write_text(json.dumps(item))
    return path


def write_landsat(folder, *, satellite=8, form="txt", size=64):
    """LC08_L1TP_... with its MTL file: PAN at 15 m, MS half a PAN pixel off it, as it is."""
    letters, sensor = ("LE", "ETM") if satellite == 7 else ("LC", "OLI_TIRS")
    name = f"{letters}{satellite:02d}_L1TP_192029_20200709_20200912_02_T1"
    root = Path(folder) / name
    root.mkdir(parents=True)
    fine = texture(size)
    numbers = (1, 2, 3, 4, 5, 7) if satellite == 7 else range(1, 8)
    dtype, scale = ("uint8", 40) if satellite == 7 else ("uint16", 8000)
    groups = {
        "PRODUCT_CONTENTS": {
            "LANDSAT_PRODUCT_ID": name,
            "PROCESSING_LEVEL": "L1TP",
            **{f"FILE_NAME_BAND_{band}": f"{name}_B{band}.TIF" for band in (*numbers, 8)},
        },
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": f"LANDSAT_{satellite}",
            "SENSOR_ID": sensor,
            "DATE_ACQUIRED": "2020-07-09",
            "SUN_ELEVATION": "61.25",
            "CLOUD_COVER": "3.20",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": {
            f"REFLECTANCE_{kind}_BAND_{band}": value
            for kind, value in (("MULT", "2.0000E-05"), ("ADD", "-0.100000"))
            for band in (*numbers, 8)
        },
    }
    pan = Affine(15, 0, 300_000 - 7.5, 0, -15, 4_900_000 + 7.5)
    write_geotiff(root / f"{name}_B8.TIF", scale * (1 + fine)[None], pan, dtype=dtype, nodata=0)
    for band in numbers:
        image = scale * (1 + 0.1 * band + (1 - 0.08 * band) * _means(fine, 2))
        grid = Affine(30, 0, 300_000 - 15, 0, -30, 4_900_000 + 15)
        path = root / f"{name}_B{band}.TIF"
        write_geotiff(path, image[None], grid, dtype=dtype, nodata=0)
    (root / f"{name}_MTL.{form}").write_text(_mtl(groups, form))
    return root


def _mtl(groups, form):
    if form == "json":
        return json.dumps({"LANDSAT_METADATA_FILE": groups})
    if form == "xml":
        body = "".join(
            f"<{group}>{''.join(f'<{k}>{v}</{k}>' for k, v in rows.items())}</{group}>"
            for group, rows in groups.items()
        )
        return f"<LANDSAT_METADATA_FILE>{body}</LANDSAT_METADATA_FILE>"
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, rows in groups.items():
        lines.append(f"  GROUP = {group}")
        quoted = ("LEVEL1_RADIOMETRIC_RESCALING",)
        lines += [
            f"    {k} = {v}" if group in quoted else f'    {k} = "{v}"' for k, v in rows.items()
        ]
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END"])


def _tiled(root, image, grid, names, **options):
    """(C, H, W) as files by (row, column) of a grid of tiles; the last ones are smaller."""
    rows, columns = (sorted({key[i] for key in names}) for i in (0, 1))
    h, w = (-(-image.shape[i + 1] // len(n)) for i, n in enumerate((rows, columns)))
    for (row, column), name in names.items():
        y, x = (row - 1) * h, (column - 1) * w
        part = image[:, y : y + h, x : x + w]
        place = None if grid is None else grid @ Affine.translation(x, y)
        placed = (
            {"transform": Affine.identity(), "crs": None} if place is None else {"transform": place}
        )
        write_geotiff(root / name, part, dtype="uint16", **placed, **options)


WV2_BANDS = ("C", "B", "G", "Y", "R", "RE", "N", "N2")


def write_maxar(folder, *, size=96, placed=True, tiles=2, metadata="IMD"):
    """ID_01/ID_01_P001_PAN and _MUL: tiles R1C1..., .TIL, .IMD or .XML."""
    root = Path(folder) / "014670314010_01"
    fine = texture(size)
    ms = np.stack([300 + 60 * i + (500 - 30 * i) * _means(fine, 4) for i in range(8)])
    for kind, letter, image, pixel in (
        ("PAN", "P", 300 + 900 * fine[None], 0.5),
        ("MUL", "M", ms, 2),
    ):
        place = root / f"014670314010_01_P001_{kind}"
        place.mkdir(parents=True)
        head, tail = "14JUN11102319", f"{letter}2AS-014670314010_01_P001"
        names = {
            (r, c): f"{head}_R{r}C{c}-{tail}.TIF"
            for r in range(1, tiles + 1)
            for c in range(1, tiles + 1)
        }
        grid = Affine(pixel, 0, 300_000, 0, -pixel, 4_800_000) if placed else None
        _tiled(place, image, grid, names)
        bands = ("P",) if kind == "PAN" else WV2_BANDS
        text = _imd(bands) if metadata == "IMD" else _isd(bands)
        (place / f"{head}-{tail}.{metadata}").write_text(text)
        groups = "".join(
            f'BEGIN_GROUP = TILE_{i}\n\tfilename = "{name}";\nEND_GROUP = TILE_{i}\n'
            for i, name in enumerate(names.values(), 1)
        )
        (place / f"{head}-{tail}.TIL").write_text(f"numTiles = {len(names)};\n{groups}END;\n")
    return root


def _imd(bands):
    groups = "".join(
        f"BEGIN_GROUP = BAND_{band}\n\tabsCalFactor = 9.0e-03;\n\teffectiveBandwidth = 4.5e-02;\n"
        f"END_GROUP = BAND_{band}\n"
        for band in bands
    )
    image = '\tsatId = "WV02";\n\tfirstLineTime = 2014-06-11T10:23:19.0Z;\n\tcloudCover = 0.014;\n'
    return f'version = "25.2";\n{groups}BEGIN_GROUP = IMAGE_1\n{image}END_GROUP = IMAGE_1\nEND;\n'


def _isd(bands):
    groups = "".join(
        f"<BAND_{band}><ABSCALFACTOR>9.0e-03</ABSCALFACTOR>"
        f"<EFFECTIVEBANDWIDTH>4.5e-02</EFFECTIVEBANDWIDTH></BAND_{band}>"
        for band in bands
    )
    image = "<IMAGE><SATID>WV02</SATID><CLOUDCOVER>0.014</CLOUDCOVER></IMAGE>"
    return f"<isd><IMD>{groups}{image}</IMD></isd>"


def write_dimap(folder, *, size=96, tiles=2, form="TIF"):
    """FCGC.../IMG_PHR1A_P_001 and IMG_PHR1A_MS_002 with DIM_*.XML: bands red, green, blue, NIR."""
    root = Path(folder) / "FCGC600123456"
    fine = texture(size)
    ms = np.stack([300 + 60 * i + (500 - 60 * i) * _means(fine, 4) for i in range(4)])
    for mode, image, pixel, bands in (
        ("P", 300 + 900 * fine[None], 0.5, ("P",)),
        ("MS", ms, 2, ("B2", "B1", "B0", "B3")),
    ):
        place = root / f"IMG_PHR1A_{mode}_001"
        place.mkdir(parents=True)
        stem = f"PHR1A_{mode}_201202250025599_ORT_IPU_20120222_0001-001"
        counts = range(1, tiles + 1)
        names = {(r, c): f"IMG_{stem}_R{r}C{c}.{form}" for r in counts for c in counts}
        options = (
            {}
            if form == "TIF"
            else {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
        )
        _tiled(place, image, Affine(pixel, 0, 300_000, 0, -pixel, 4_800_000), names, **options)
        (place / f"DIM_{stem}.XML").write_text(_dim(mode, bands, names))
    return root


def _dim(mode, bands, names):
    files = "".join(
        f'<Data_File tile_R="{r}" tile_C="{c}"><DATA_FILE_PATH href="{name}"/></Data_File>'
        for (r, c), name in names.items()
    )
    indices = "".join(
        f"<Raster_Index><BAND_ID>{band}</BAND_ID><BAND_INDEX>{i}</BAND_INDEX></Raster_Index>"
        for i, band in enumerate(bands, 1)
    )
    ranges = {"B0": (0.43, 0.55), "B1": (0.49, 0.61), "B2": (0.6, 0.72), "B3": (0.75, 0.95)}
    ranges["P"] = (0.48, 0.82)
    measures = "".join(
        f"<Band_Spectral_Range><BAND_ID>{band}</BAND_ID><MEASURE_UNIT>micrometers</MEASURE_UNIT>"
        f"<MIN>{ranges[band][0]}</MIN><MAX>{ranges[band][1]}</MAX></Band_Spectral_Range>"
        f"<Band_Radiance><BAND_ID>{band}</BAND_ID><GAIN>{10 + i}</GAIN><BIAS>0.5</BIAS>"
        "</Band_Radiance>"
        for i, band in enumerate(bands)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Dimap_Document><Metadata_Identification><METADATA_FORMAT version="2.0">DIMAP</METADATA_FORMAT>
</Metadata_Identification><Dataset_Identification><DATASET_NAME>PHR1A_{mode}_001</DATASET_NAME>
</Dataset_Identification><Processing_Information><Product_Settings>
<PROCESSING_LEVEL>ORTHO</PROCESSING_LEVEL><SPECTRAL_PROCESSING>{mode}</SPECTRAL_PROCESSING>
</Product_Settings></Processing_Information><Raster_Data><Data_Access><Data_Files>{files}
</Data_Files></Data_Access><Raster_Display><Raster_Index_List>{indices}</Raster_Index_List>
<Special_Value><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_COUNT>0</SPECIAL_VALUE_COUNT></Special_Value></Raster_Display></Raster_Data>
<Radiometric_Data><Radiometric_Calibration><Instrument_Calibration><Band_Measurement_List>
{measures}</Band_Measurement_List></Instrument_Calibration></Radiometric_Calibration>
</Radiometric_Data><Dataset_Sources><Source_Identification><Strip_Source><MISSION>PHR</MISSION>
<MISSION_INDEX>1A</MISSION_INDEX><IMAGING_DATE>2012-02-25</IMAGING_DATE></Strip_Source>
</Source_Identification></Dataset_Sources></Dimap_Document>"""


def pixels(path):
    with rasterio.open(path) as file:
        return file.read()

"""The files that cases damage: small pairs, builds, weights, runs. name -> bytes, by group."""

import io
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine

from fusiontrain.cli import main as fusiontrain
from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.models.registry import build_model
from simgen.building.array_task import TaskShare
from simgen.building.build import run_build
from simgen.config import Build
from simgen.recipes import find_recipe
from tests.support.geotiffs import GRID, UTM, write_geotiff

Files = dict[str, bytes]
SENSOR = b"""name = "Own"
bands = ["blue", "green", "red", "nir"]
ratio = 4
bits = 11
mtf_ms = [0.3, 0.3, 0.3, 0.25]
mtf_pan = 0.2
source = "a test"
"""
CONFIG = b"""shards: [shards]
max_steps: 3
batch_size: 2
crop: 16
learning_rate: 0.001
loss: l1
out: run
"""
CONFIG_TOML = b"""shards = ["shards"]
max_steps = 3
batch_size = 2
learning_rate = 0.001
loss = "l1"
out = "run"
"""
_VRT = """<VRTDataset rasterXSize="{w}" rasterYSize="{h}"><SRS>EPSG:32633</SRS>
<GeoTransform>{grid}</GeoTransform><Metadata><MDI key="a">b</MDI></Metadata>
{bands}</VRTDataset>"""
_BAND = """<VRTRasterBand dataType="UInt16" band="{n}"><NoDataValue>0</NoDataValue>
<{kind}><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>{n}</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="{w}" ySize="{h}"/>
<DstRect xOff="0" yOff="0" xSize="{w}" ySize="{h}"/>
</{kind}></VRTRasterBand>"""


def images() -> tuple[np.ndarray, np.ndarray]:
    """PAN (1, 64, 64) and MS (4, 16, 16) of one texture."""
    rng = np.random.default_rng(0)
    pan = np.repeat(np.repeat(rng.uniform(100, 900, (1, 32, 32)), 2, 1), 2, 2)
    ms = pan.reshape(1, 16, 4, 16, 4).mean((2, 4)) * np.array([0.6, 0.8, 1, 1.2])[:, None, None]
    return pan, ms


def make_seeds(folder: Path) -> dict[str, Files]:
    """All groups; `folder` is used meanwhile. The same bytes in each run."""
    seeds: dict[str, Files] = {}
    for name, make in (_PAIRS | _OTHERS).items():
        room = folder / name
        room.mkdir(parents=True)
        make(room)
        seeds[name] = files_in(room)
    shutil.rmtree(folder)
    seeds["sensor"] = {"own.toml": SENSOR}
    seeds["config"] = {"run.yaml": CONFIG, "run.toml": CONFIG_TOML}
    return seeds


def files_in(folder: Path) -> Files:
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def _pair(room: Path, *, dtype: str = "uint16", suffix: str = ".tif", **profile: object) -> None:
    for name, image, scale in zip(("pan", "ms"), images(), (1, 4), strict=True):
        write_geotiff(
            room / f"{name}{suffix}", image, GRID @ Affine.scale(scale), dtype=dtype, **profile
        )


def _masked(room: Path) -> None:
    pan, ms = images()
    valid = np.ones((16, 16), bool)
    valid[:4] = False
    how = {
        "dtype": "uint16",
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 16,
        "blockysize": 16,
    }
    write_geotiff(room / "pan.tif", pan, nodata=0, **how)
    write_geotiff(room / "ms.tif", ms, GRID @ Affine.scale(4), mask=valid, **how)


def _sidecars(room: Path) -> None:
    """World files, .aux.xml, .msk and .ovr."""
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        for name, image, scale in zip(("pan", "ms"), images(), (1, 4), strict=True):
            path = room / f"{name}.tif"
            write_geotiff(path, image, None, None, dtype="uint16", PROFILE="BASELINE")
            grid = GRID @ Affine.scale(scale) @ Affine.translation(0.5, 0.5)
            (room / f"{name}.tfw").write_text(
                "\n".join(map(str, (grid.a, grid.d, grid.b, grid.e, grid.c, grid.f)))
            )
            (room / f"{name}.tif.aux.xml").write_text(
                f'<PAMDataset><SRS>{UTM}</SRS><Metadata><MDI key="a">b</MDI></Metadata>'
                '<PAMRasterBand band="1"><NoDataValue>0</NoDataValue>'
                "<Offset>0</Offset><Scale>1</Scale>"
                "</PAMRasterBand></PAMDataset>"
            )
    write_geotiff(
        room / "ms.tif.msk",
        np.full((1, 16, 16), 255),
        None,
        None,
        dtype="uint8",
        INTERNAL_MASK_FLAGS_1=2,
    )
    write_geotiff(room / "pan.tif.ovr", images()[0][:, ::2, ::2], None, None, dtype="uint16")


def _rpcs(room: Path) -> None:
    one, nothing = [1.0] + [0.0] * 19, [0.0] * 20
    rpcs = RPC(
        height_off=100.0, height_scale=50.0, lat_off=14.0, lat_scale=0.1,
        long_off=20.0, long_scale=0.1,
        line_den_coeff=one, samp_den_coeff=one, line_num_coeff=[0, 0, 1.0, *nothing[3:]],
        samp_num_coeff=[0, 1.0, *nothing[2:]],
        line_off=32.0, line_scale=32.0, samp_off=32.0, samp_scale=32.0,
    )  # fmt: skip
    for name, image in zip(("pan", "ms"), images(), strict=True):
        write_geotiff(room / "x.tif", image, None, None, dtype="uint16", rpcs=rpcs)
        copy_raster(
            room / "x.tif", room / f"{name}.tif", RPB="NO", PROFILE="BASELINE", RPCTXT="YES"
        )
    for path in room.glob("x*"):
        path.unlink()


def _alpha(room: Path) -> None:
    pan, ms = images()
    ms[3] = 255
    ms[3, :4] = 0
    write_geotiff(room / "pan.tif", pan / 4, dtype="uint8")
    write_geotiff(
        room / "ms.tif", ms / 5, GRID @ Affine.scale(4), dtype="uint8",
        colours=[ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha],
    )  # fmt: skip


def _points(room: Path) -> None:
    pan, ms = images()
    corners = [(0, 0), (0, 64), (64, 0), (64, 64)]
    gcps = [rasterio.control.GroundControlPoint(row=r, col=c, x=c, y=-r) for r, c in corners]
    for name, image in (("pan", pan), ("ms", ms)):
        write_geotiff(room / f"{name}.tif", image, None, UTM, dtype="uint16", gcps=gcps)


def _vrt(room: Path) -> None:
    _pair(room)
    for name, bands, side, scale in (("pan", 1, 64, 1), ("ms", 4, 16, 4)):
        grid = GRID @ Affine.scale(scale)
        kinds = ("SimpleSource", "ComplexSource")
        text = "".join(
            _BAND.format(n=n + 1, kind=kinds[n % 2], name=f"{name}.tif", w=side, h=side)
            for n in range(bands)
        )
        place = ", ".join(map(str, grid.to_gdal()))
        (room / f"{name}.vrt").write_text(_VRT.format(w=side, h=side, grid=place, bands=text))


def _raw_vrt(room: Path) -> None:
    _pair(room)
    (room / "numbers.bin").write_bytes(images()[0].astype("<u2").tobytes())
    band = (
        '<VRTRasterBand dataType="UInt16" band="1" subClass="VRTRawRasterBand">'
        '<SourceFilename relativetoVRT="1">numbers.bin</SourceFilename><ImageOffset>0</ImageOffset>'
        "<PixelOffset>2</PixelOffset><LineOffset>128</LineOffset></VRTRasterBand>"
    )
    place = ", ".join(map(str, GRID.to_gdal()))
    (room / "pan.vrt").write_text(_VRT.format(w=64, h=64, grid=place, bands=band))


def _til(room: Path) -> None:
    _pair(room)
    for name, side in (("pan", 64), ("ms", 16)):
        (room / f"{name}.IMD").write_text(
            f'numRows = {side};\nnumColumns = {side};\nbitsPerPixel = 16;\nbandId = "P";\n'
            'BEGIN_GROUP = IMAGE_1\nsatId = "WV02";\nEND_GROUP = IMAGE_1\nEND;\n'
        )
        (room / f"{name}.TIL").write_text(
            f'bandId = "P";\nnumTiles = 1;\ntileSizeX = {side};\n'
            f'tileSizeY = {side};\ntileUnits = "Pixels";\n'
            f'tileOverlap = 0;\nBEGIN_GROUP = TILE_1\n\tfilename = "{name}.tif";\n'
            f"\tULColOffset = 0;\n\tULRowOffset = 0;\n\tLRColOffset = {side - 1};\n"
            f"\tLRRowOffset = {side - 1};\n"
            "END_GROUP = TILE_1\nEND;\n"
        )


def _stack(room: Path) -> None:
    pan, ms = images()
    write_geotiff(room / "pan.tif", pan, dtype="uint16")
    for i, band in enumerate(ms):
        write_geotiff(room / f"ms{i}.tif", band[None], GRID @ Affine.scale(4), dtype="uint16")


def _as(driver: str, suffix: str, *, dtype: str = "uint16", **options: object):
    def make(room: Path) -> None:
        _pair(room, dtype=dtype, suffix=".x")
        for name in ("pan", "ms"):
            copy_raster(room / f"{name}.x", room / f"{name}{suffix}", driver=driver, **options)
            (room / f"{name}.x").unlink()

    return make


_PAIRS = {
    "plain": _pair,
    "masked": _masked,
    "float": lambda room: _pair(
        room, dtype="float32", nodata=float("nan"), predictor=3, compress="lzw"
    ),
    "bits": lambda room: _pair(room, NBITS=12, interleave="pixel"),
    "alpha": _alpha,
    "sidecars": _sidecars,
    "rpcs": _rpcs,
    "points": _points,
    "vrt": _vrt,
    "raw": _raw_vrt,
    "til": _til,
    "stack": _stack,
    "jp2": _as("JP2OpenJPEG", ".jp2", QUALITY=100, REVERSIBLE="YES"),
    "png": _as("PNG", ".png", WORLDFILE="YES"),
    "img": _as("HFA", ".img"),
    "ntf": _as("NITF", ".ntf"),
    "envi": _as("ENVI", ".dat"),
}


def _photos(room: Path) -> None:
    room.mkdir(parents=True, exist_ok=True)
    for i in range(2):
        (room / f"p{i}.jpg").write_bytes(jpeg(i))
    rng = np.random.default_rng(3)
    write_geotiff(room / "bands.tif", rng.uniform(0, 2000, (4, 80, 80)), dtype="uint16")
    Image.fromarray(rng.integers(0, 255, (80, 80, 3), np.uint8)).save(room / "q.png")


def jpeg(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8))
    buffer = io.BytesIO()
    coarse.resize((100, 90), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _build(room: Path, **changed: object) -> Build:
    photos = room.parent / f"{room.name}-photos"
    photos.mkdir(exist_ok=True, parents=True)
    for i in range(2):
        (photos / f"p{i}.jpg").write_bytes(jpeg(i))
    options = {
        "dataset": "folder",
        "source": photos,
        "out": room,
        "bands": (4,),
        "draws": 2,
        "shard_size": 2,
    }
    return Build(
        **options | {"recipe": replace(find_recipe("sensor-clean"), tile=32), "seed": 5} | changed
    )


def _shards(room: Path) -> None:
    run_build(_build(room), workers=1)


def _parts(room: Path) -> None:
    """Two tasks' parts, not merged yet."""
    for index in range(2):
        run_build(_build(room), workers=1, share=TaskShare(index=index, count=2))


def _state(room: Path) -> None:
    """A build stopped before its end, and its photographs."""
    _photos(room / "photos")
    run_build(_build(room / "out", source=room / "photos"), workers=1)
    (room / "out" / "manifest.json").unlink()
    (room / "out" / "shard-000001.json").unlink()


def building_argv(source: Path, out: Path, dataset: str = "folder") -> list[str]:
    argv = [
        "build",
        "--dataset",
        dataset,
        "--source",
        str(source),
        "--out",
        str(out),
        "--seed",
        "5",
    ]
    argv += ["--recipe", "sensor-clean", "--tile", "32", "--bands", "4", "--draws", "2"]
    return [*argv, "--shard-size", "2", "--quiet"]


def _weights(room: Path) -> None:
    torch.manual_seed(0)
    info = CheckpointInfo(model="anyband", sizes={"width": 4, "blocks": 1}, training={"steps": 3})
    save_checkpoint(room / "w.safetensors", build_model(info.model, **info.sizes), info)


def _run(room: Path) -> None:
    """A training stopped before its end."""
    _shards(room / "shards")
    argv = training_argv(room)
    assert fusiontrain(argv) == 0
    (room / "run" / "model.safetensors").unlink()


def training_argv(room: Path) -> list[str]:
    argv = [
        "pretrain",
        "--shards",
        str(room / "shards"),
        "--out",
        str(room / "run"),
        "--crop",
        "16",
    ]
    argv += ["--batch-size", "2", "--max-steps", "3", "--save-steps", "1", "--tracker", "none"]
    return [*argv, "--model", "anyband-small"]


def _zips(room: Path) -> None:
    for number, method in ((2, zipfile.ZIP_STORED), (3, zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(room / f"images{number}.zip", "w", method) as archive:
            for i, stem in enumerate(("a1_CH_19", "w2_US_18")):
                info = zipfile.ZipInfo(f"images{number}/{stem}.jpg", (2020, 1, 1, 0, 0, 0))
                info.compress_type = method
                archive.writestr(info, jpeg(i))
    (room / "list.csv").write_text("filepath,title,similarity\nimages2/a1_CH_19.jpg,a house,0.3\n")


def _tars(room: Path) -> None:
    for number, form in (
        (0, tarfile.USTAR_FORMAT),
        (1, tarfile.GNU_FORMAT),
        (2, tarfile.PAX_FORMAT),
    ):
        with tarfile.open(room / f"t{number}.tar", "w", format=form) as tar:
            for i in range(2):
                info = tarfile.TarInfo(f"{'long/' * 30 * number}{number}{i}.jpg")
                info.size = len(jpeg(i))
                tar.addfile(info, io.BytesIO(jpeg(i)))


_OTHERS = {
    "shards": _shards, "parts": _parts, "state": _state, "weights": _weights, "run": _run,
    "zips": _zips, "tars": _tars, "photos": _photos,
}  # fmt: skip

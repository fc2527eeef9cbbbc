"""What fusing leaves: its own tags, the same pixels by every entry point, or nothing at all."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import xarray
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from shards.manifest import file_sha256
from tests.support.geotiffs import GRID, write_geotiff

BIN = Path(sys.executable).parent


def scene(h=80, w=100, bands=4, ratio=4, seed=0):
    """(C, h, w) and (1, H, W) of one ground, DN of 11 bits."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.uniform(200, 1500, (h // 4, w // 4)), np.ones((4 * ratio, 4 * ratio)))
    pan = blocks + rng.uniform(0, 200, blocks.shape)
    low = pan.reshape(h, ratio, w, ratio).mean((1, 3))
    gains = np.linspace(0.5, 1.2, bands)[:, None, None]
    return (low * gains + rng.uniform(0, 30, (bands, h, w))).round(), pan[None].round()


write = partial(write_geotiff, dtype="uint16")


@pytest.fixture
def pair(tmp_path):
    """PAN of 320x400 and MS of 4 bands, which says much of itself."""
    ms, pan = scene()
    paths = tmp_path / "pan.tif", tmp_path / "ms.tif"
    write(paths[0], pan)
    write(paths[1], ms, GRID @ Affine.scale(4))
    colours = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
    with rasterio.open(paths[1], "r+") as file:
        file.descriptions = ("blue", "green", "red", "nir")
        file.colorinterp = colours
        file.update_tags(SATID="WV02", PRODUCT="LV2A")
        file.update_tags(1, WAVELENGTH="480", STATISTICS_MEAN="7")
        file.scales, file.offsets = (0.1,) * 4, (0.5,) * 4
        file.units = ("W/m2",) * 4
    return paths


def fuse(pair, out, *more):
    return main(["fuse", *map(str, pair), str(out), *map(str, more)])


def left(folder):
    return {p.name for p in folder.iterdir()}


def test_a_cog_says_all_that_the_ms_said(pair, weights, tmp_path, capsys):
    """Grid, names, colours, tags, scales; what made it; what is stale is not carried."""
    out = tmp_path / "f.tif"

    assert 0 == fuse(pair, out, "--weights", weights, "--nodata", 0)

    with rasterio.open(out) as file, rasterio.open(pair[0]) as pan, rasterio.open(pair[1]) as ms:
        assert (pan.crs, pan.transform, pan.shape) == (file.crs, file.transform, file.shape)
        assert (ms.descriptions, ms.colorinterp[:3]) == (file.descriptions, file.colorinterp[:3])
        assert (ms.scales, ms.offsets, ms.units) == (file.scales, file.offsets, file.units)
        assert (ms.dtypes, 0) == (file.dtypes, file.nodata)
        layout = file.tags(ns="IMAGE_STRUCTURE")
        assert ("COG", "ZSTD") == (layout["LAYOUT"], layout["COMPRESSION"])
        assert "480" == file.tags(1)["WAVELENGTH"]
        assert "STATISTICS_MEAN" not in file.tags(1)
        tags = file.tags()
    assert ("WV02", "LV2A") == (tags["SATID"], tags["PRODUCT"])
    assert ("anyband", file_sha256(weights)) == (
        tags["PANPRIOR_METHOD"],
        tags["PANPRIOR_WEIGHTS_SHA256"],
    )
    assert {"PANPRIOR_VERSION", "PANPRIOR_KNOWLEDGE"} <= set(tags)
    assert "WorldView-2 (tag SATID)" in capsys.readouterr().out
    assert {"pan.tif", "ms.tif", "f.tif"} == left(tmp_path)


def test_large_files_have_overviews_of_averages(tmp_path):
    """Half of it is the mean of each four pixels, to rounding."""
    ms, pan = scene(160, 240)
    paths = write(tmp_path / "p.tif", pan), write(tmp_path / "m.tif", ms, GRID @ Affine.scale(4))

    fuse(paths, tmp_path / "f.tif", "--method", "exp")

    with rasterio.open(tmp_path / "f.tif") as file:
        assert [2] == file.overviews(1)
        assert [(512, 512)] * 4 == file.block_shapes
        whole = file.read().astype(float)
    with rasterio.open(tmp_path / "f.tif", overview_level=0) as file:
        half = file.read()
    means = whole.reshape(4, 320, 2, 480, 2).mean((2, 4))
    assert np.abs(half - means).max() <= 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["-of", "GTiff", "-co", "COMPRESS=DEFLATE"], ("uint16", None, "DEFLATE", None)),
        (["-of", "GTiff", "-co", "compress=NONE"], ("uint16", None, None, None)),
        (["-co", "COMPRESS=LZW"], ("uint16", None, "LZW", "COG")),
        (["-ot", "Float32", "-nodata", "-1"], ("float32", -1, "ZSTD", "COG")),
        (
            ["--dtype", "uint8", "--nodata", "255", "--scale", "2%,98%"],
            ("uint8", 255, "ZSTD", "COG"),
        ),
    ],
)
def test_the_output_is_as_asked(pair, tmp_path, flags, expected):
    """GDAL's flags and ours."""
    out = tmp_path / "f.tif"

    assert 0 == fuse(pair, out, "--method", "brovey", *flags)

    with rasterio.open(out) as file:
        layout = file.tags(ns="IMAGE_STRUCTURE")
        seen = file.dtypes[0], file.nodata, layout.get("COMPRESSION"), layout.get("LAYOUT")
        data = file.read()
    assert expected == seen
    if expected[0] == "uint8":
        pan, ms = (rasterio.open(path).read() for path in pair)
        coarse = (ms == 255).any(0).repeat(4, 0).repeat(4, 1)
        missing = (pan[0] == 255) | coarse  # --nodata says what is missing in the inputs too
        assert 254 == data[:, ~missing].max()  # saturated, and never the value of nodata
        assert (data[:, missing] == 255).all()


@pytest.mark.parametrize(("kind", "option"), [("COG", "LEVEL"), ("GTiff", "ZSTD_LEVEL")])
def test_zstd_is_fast_unless_a_level_is_given(pair, tmp_path, kind, option):
    """Level 3 by default; a given level is kept."""
    flags = ("--method", "brovey", "-of", kind)
    outs = [tmp_path / name for name in ("default.tif", "3.tif", "15.tif")]

    assert 0 == fuse(pair, outs[0], *flags)
    assert 0 == fuse(pair, outs[1], *flags, "-co", f"{option}=3")
    assert 0 == fuse(pair, outs[2], *flags, "-co", f"{option}=15")

    default, fast, small = (out.stat().st_size for out in outs)
    assert default == fast
    assert small < fast


def test_a_box_is_fused_alone(pair, tmp_path):
    """On the PAN's grid, to whole MS pixels outwards."""
    out = tmp_path / "f.tif"

    assert 0 == fuse(pair, out, "--method", "exp", "--bbox", 300_021, 4_799_900, 300_100, 4_799_960)

    with rasterio.open(out) as file:
        assert (300_020, 4_799_960) == (file.transform.c, file.transform.f)
        assert (120, 160) == file.shape


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--bbox", "0", "0", "10", "10"], "does not overlap"),
        (["--bbox", "9", "0", "1", "10"], "LEFT BOTTOM RIGHT TOP"),
        (["--bbox", "0", "0", "inf", "10"], "LEFT BOTTOM RIGHT TOP"),
        (["-b", "5"], "go from 1 to 4; got [5]"),
        (["-b", "red"], "numbers from 1"),
        (["-co", "TILED"], "NAME=VALUE"),
        (["--dtype", "complex64"], "--dtype is one of"),
        (["--nodata", "-1"], "no value of uint16"),
        (["--threads", "0"], "a number from 1"),
        (["--device", "abacus"], "--device abacus"),
        (["--method", "magic"], "no method 'magic'"),
        (["--sensor", "Sputnik"], "no sensor 'Sputnik'"),
        (["--memory", "0.001"], "too little for a window"),
    ],
)
def test_bad_flags_are_one_line(pair, tmp_path, capsys, flags, words):
    """Exit code 2, nothing written."""
    method = [] if "--method" in flags else ["--method", "glp"]

    assert 2 == fuse(pair, tmp_path / "f.tif", *method, *flags)
    said = capsys.readouterr().err.strip()
    assert words in said
    assert said.count("\n") <= 1
    assert {"pan.tif", "ms.tif"} == left(tmp_path)


def test_a_dry_run_says_what_would_be(pair, weights, tmp_path, capsys):
    """Plan, memory, time; no file."""
    assert 0 == fuse(pair, tmp_path / "f.tif", "--weights", weights, "--dry-run")

    said = capsys.readouterr().out
    for word in ("plan: anyband", "memory: about", "time: about", "disk: up to"):
        assert word in said
    assert {"pan.tif", "ms.tif"} == left(tmp_path)


def test_the_report_has_quality_without_a_truth(pair, tmp_path):
    """EXP adds nothing: before and after are one, but for rounding; GLP changes both."""
    found = {}
    for method in ("exp", "glp"):
        report = tmp_path / f"{method}.json"
        assert 0 == fuse(pair, tmp_path / "f.tif", "--method", method, "--json", report)
        found[method] = json.loads(report.read_text())

    quality = found["exp"]["quality"]
    assert quality["hqnr_before"] == pytest.approx(quality["hqnr_after"], abs=1e-4)
    assert max(quality["drift"].values()) < 1e-3
    assert found["glp"]["quality"]["drift"]["shape"] > 0.001
    assert [4, 320, 400] == found["glp"]["shape"]
    assert found["glp"]["seconds"]["fusing"] > 0


@pytest.mark.parametrize("method", ["net", "gsa", "glp-fs-soft"])
def test_command_rio_and_python_give_the_same_pixels(pair, weights, tmp_path, method):
    """The command, rio, files and datasets and arrays and labelled arrays in Python."""
    # Sums of other threads round otherwise, and rio is a process of its own.
    flags = ["--threads", "1", "--method", method]
    flags += ["--weights", str(weights)] if method == "net" else []
    torch.set_num_threads(1)
    given = {"method": method, "weights": weights if method == "net" else None}
    assert 0 == fuse(pair, tmp_path / "cli.tif", *flags)
    if method == "net":
        rio = [BIN / "rio", "fuse", *pair, tmp_path / "rio.tif", *flags]
        subprocess.run(rio, check=True, capture_output=True)
    pansharpen(*map(str, pair), tmp_path / "python.tif", **given)

    with rasterio.open(tmp_path / "cli.tif") as file:
        expected = file.read()
    for name in ("rio", "python") if method == "net" else ("python",):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            np.testing.assert_array_equal(expected, file.read())
    with rasterio.open(pair[0]) as pan, rasterio.open(pair[1]) as ms:
        np.testing.assert_array_equal(expected, pansharpen(pan, ms, **given))
        arrays = pan.read(1), ms.read()
    np.testing.assert_array_equal(expected, pansharpen(*arrays, **given))
    labelled = [
        xarray.DataArray(
            image,
            dims=("band", "y", "x")[-image.ndim :],
            coords={"y": -(np.arange(320 // r) + 0.5) * r, "x": (np.arange(400 // r) + 0.5) * r},
        )
        for image, r in zip(arrays, (1, 4), strict=True)
    ]
    fused = pansharpen(*labelled, **given)
    np.testing.assert_array_equal(expected, fused.values)
    np.testing.assert_array_equal(labelled[0].y, fused.y)
    with pytest.raises(SceneError, match="do not cover the same x"):
        pansharpen(labelled[0], labelled[1].assign_coords(x=labelled[1].x + 2), **given)


def test_arrays_with_holes(weights):
    """NaN, a masked array and a nodata value hide the same pixels."""
    ms, pan = (image.astype("float32") for image in scene(40, 40))
    hole = np.zeros(ms.shape, bool)
    hole[:, 8:12] = True
    nan, value = np.where(hole, np.nan, ms), np.where(hole, -9, ms).astype("float32")

    by_nan = pansharpen(pan, nan.astype("float32"), weights=weights)
    by_mask = pansharpen(pan, np.ma.array(ms, mask=hole), weights=weights)
    by_value = pansharpen(pan, value, weights=weights, nodata=-9)

    assert np.isnan(by_nan[:, 32:48]).all()
    assert np.isfinite(np.delete(by_nan, slice(32, 48), 1)).all()
    np.testing.assert_array_equal(by_nan, by_mask)
    np.testing.assert_array_equal(np.isnan(by_nan), by_value == -9)


@pytest.mark.parametrize(
    ("pan", "ms", "words"),
    [
        (np.ones((32, 32), "complex64"), np.ones((3, 8, 8)), "PAN must be numbers"),
        (np.ones((32, 32)), np.ones((8, 8, 8, 8)), "MS must be numbers"),
        (np.ones((33, 32)), np.ones((3, 8, 8)), "whole number of pixels"),
        (np.ones((40, 40)), np.full((3, 10, 10), np.nan), "no pixel has data"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(pan, ms, words):
    with pytest.raises(SceneError, match=words):
        pansharpen(pan, ms, method="glp")


def test_all_nodata_is_refused(pair, tmp_path, capsys):
    """A line, not a file of nothing."""
    write(pair[1], np.zeros((4, 80, 100)), GRID @ Affine.scale(4), nodata=0)

    for flags in ([], ["--sensor", "IKONOS", "--softness", "0.3"]):
        assert 2 == fuse(pair, tmp_path / "f.tif", "--method", "glp", *flags)
        assert "no pixel has data" in capsys.readouterr().err
    assert {"pan.tif", "ms.tif"} == left(tmp_path)


def test_a_folder_that_is_not_there(pair, tmp_path, capsys):
    """Said before anything is fused."""
    assert 2 == fuse(pair, tmp_path / "no" / "f.tif", "--method", "glp")
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "said"),
    [("cut", "is damaged or cut short"), ("overwritten", "broke off while being read")],
)
def test_damaged_inputs_midway_leave_nothing(tmp_path, capsys, damage, said):
    """PAN is damaged after its first tiles: what was there before stays."""
    ms, pan = scene(300, 300)
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    paths = (
        write(tmp_path / "p.tif", pan, **tiles),
        write(tmp_path / "m.tif", ms, GRID @ Affine.scale(4)),
    )
    out = tmp_path / "f.tif"
    out.write_bytes(b"before")
    size = paths[0].stat().st_size
    with paths[0].open("r+b") as file:
        if damage == "cut":
            file.truncate(size * 3 // 4)
        else:
            file.seek(size * 3 // 4)
            file.write(bytes(size // 5))

    call = ["--method", "glp", "--window", "256", "--sensor", "IKONOS", "--softness", ".3"]
    assert 2 == fuse(paths, out, *call)
    assert said in capsys.readouterr().err
    assert b"before" == out.read_bytes()
    assert {"p.tif", "m.tif", "f.tif"} == left(tmp_path)


@pytest.mark.parametrize("kind", ["COG", "GTiff"])
def test_a_full_disk_leaves_nothing(pair, tmp_path, capsys, kind):
    """Files may not grow beyond a third of what the output's pixels take, which are noise."""
    limit = 320 * 400 * 4 * 2 // 3
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))  # Python ignores its signal
    try:
        code = fuse(pair, tmp_path / "f.tif", "--method", "glp", "-of", kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert 2 == code
    assert "cannot write" in capsys.readouterr().err
    assert {"pan.tif", "ms.tif"} == left(tmp_path)


@pytest.mark.parametrize(
    ("moment", "number", "threads"),
    [
        ("windows", signal.SIGINT, "1"),
        ("windows", signal.SIGINT, "3"),
        ("COG", signal.SIGTERM, "1"),
    ],
)
def test_signals_leave_nothing(tmp_path, weights, number, moment, threads):
    """Stopped among the windows, or while the COG is made; 128 + the signal's number."""
    side = 320 if moment == "COG" else 160
    ms, pan = scene(side, side)
    paths = write(tmp_path / "p.tif", pan), write(tmp_path / "m.tif", ms, GRID @ Affine.scale(4))
    how = ["--method", "exp"] if moment == "COG" else ["--weights", weights, "--window", "64"]
    more = ["--sensor", "IKONOS", "--softness", ".3", "--threads", threads]
    awaited = "cog.tif" if moment == "COG" else "fused.tif"
    process = subprocess.Popen(
        [BIN / "fusiontrain", "fuse", *paths, tmp_path / "f.tif", *how, *more],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    until = time.monotonic() + 300
    while not list(tmp_path.glob(f".part-*/{awaited}")) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)

    assert 128 + number == process.returncode, said.decode()
    assert f"stopped by {number.name}" in said.decode()
    assert {"p.tif", "m.tif"} == left(tmp_path)

"""Whole scenes through the commands: `fusiontrain fuse`, `benchmark`, `export`."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

from fusiontrain.cli import main
from fusiontrain.fusion.network_fuser import fuse_windows, scene_statistics
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.scene import Scene
from tests.support.geotiffs import GRID, write_geotiff, write_pair
from tests.support.networks import random_network, save_network


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    sizes = {"width": 8, "blocks": 4}
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    return save_network(path, random_network(**sizes), **sizes)


def arrays(h, w, ratio=4, bands=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    pan = torch.rand(1, 1, h * ratio, w * ratio, generator=rng)
    pan = torch.nn.functional.avg_pool2d(pan, 3, 1, 1)[0] * 900 + 100
    low = torch.nn.functional.avg_pool2d(pan[None], ratio)[0]
    ms = low * torch.linspace(0.5, 1.5, bands)[:, None, None]
    return ms + 40 * torch.rand(ms.shape, generator=rng), pan


@pytest.fixture
def pair(tmp_path):
    """PAN 320x400 and MS 80x100, uint16, georeferenced, named bands, nodata 0."""
    ms, pan = arrays(80, 100)
    paths = write_pair(tmp_path, pan, ms, nodata=0)
    with rasterio.open(paths[1], "r+") as file:
        file.descriptions = ("blue", "green", "red", "nir")
    return tuple(map(Path, paths))


def test_the_output_has_pans_grid_and_the_mss_bands(pair, weights, tmp_path, capsys):
    """CRS, geotransform, size, dtype, nodata, band names; what was done is tagged."""
    out = tmp_path / "fused.tif"

    assert 0 == main(["fuse", *map(str, pair), str(out), "--weights", str(weights)])

    with rasterio.open(pair[0]) as pan, rasterio.open(pair[1]) as ms, rasterio.open(out) as fused:
        assert (pan.crs, pan.transform, pan.shape) == (fused.crs, fused.transform, fused.shape)
        assert (ms.count, ms.dtypes, ms.nodata) == (fused.count, fused.dtypes, fused.nodata)
        assert ms.descriptions == fused.descriptions
        assert "anyband" == fused.tags()["PANPRIOR_MODEL"]
        data, coarse = fused.read().astype(float), ms.read().astype(float)
    back = data.reshape(4, 80, 4, 100, 4).mean((2, 4))
    assert np.corrcoef(back.ravel(), coarse.ravel())[0, 1] > 0.98
    said = capsys.readouterr().out
    assert "Measured on this pair: MTF of the MS" in said
    assert "Softness " in said


def test_nodata_stays_nodata(pair, weights, tmp_path):
    """Where either input has none, and nowhere else."""
    for path, rows in ((pair[0], slice(300, 320)), (pair[1], slice(0, 3))):
        with rasterio.open(path, "r+") as file:
            data = file.read()
            data[:, rows] = 0
            file.write(data)

    main(["fuse", *map(str, pair), str(tmp_path / "f.tif"), "--weights", str(weights)])

    with rasterio.open(tmp_path / "f.tif") as fused:
        empty = (fused.read() == 0).all(0)
    assert empty[:12].all()
    assert empty[300:].all()
    assert not empty[12:300].any()


@pytest.mark.parametrize(("ratio", "core"), [(4, 64), (4, 100), (2, 96), (3, 64), (5, 90)])
def test_windows_leave_no_seam(ratio, core):
    """Tiled and whole differ by less than float noise: a thousandth of a DN."""
    ms, pan = arrays(72, 80, ratio)
    scene = Scene(name="x", ms=ms, pan=pan)
    given = SensorModel(mtf=torch.full((4,), 0.25), softness=torch.full((4,), 0.3))
    net = random_network(width=8, blocks=4)
    stats = scene_statistics(scene, given)

    def fuse(core):
        out = torch.full((4, 72 * ratio, 80 * ratio), torch.nan)
        for part in fuse_windows(
            scene, net, given, halo=find_model("anyband").halo(ratio), statistics=stats, core=core
        ):
            box = part.core.scaled(ratio)
            out[:, box.top : box.bottom, box.left : box.right] = part.fused
        return out

    torch.testing.assert_close(fuse(10_000), fuse(core), rtol=0, atol=5e-3)


def test_statistics_by_windows_are_the_scenes(monkeypatch):
    """One streamed pass gives what one look at everything gives."""
    from fusiontrain.fusion import network_fuser
    from fusiontrain.imaging.injection import (
        injection_images,
        injection_moments,
        statistics_from_moments,
    )
    from fusiontrain.imaging.pan_batch import PanBatch

    ms, pan = arrays(60, 50)
    given = SensorModel(mtf=torch.full((4,), 0.2), softness=torch.full((4,), 0.4))
    batch = PanBatch(
        ms=ms[None], pan=pan[None], ratio=4, mtf=given.mtf[None], softness=given.softness[None]
    )
    expected = statistics_from_moments(injection_moments(injection_images(batch)))
    whole = network_fuser.scene_tiles
    monkeypatch.setattr(
        network_fuser, "scene_tiles", lambda s, *, halo: whole(s, halo=halo, core=64)
    )

    seen = scene_statistics(Scene(name="x", ms=ms, pan=pan), given)

    for name in ("ms_mean", "ms_std", "pan_mean", "pan_std", "gain"):
        torch.testing.assert_close(
            getattr(expected, name), getattr(seen, name), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("value", ["0", "1.5", "crisp", "-0.2", "nan"])
def test_impossible_softness_is_refused(pair, weights, tmp_path, capsys, value):
    """Exit code 2, no output."""
    out = tmp_path / "f.tif"
    arguments = ["--weights", str(weights), f"--softness={value}"]

    assert 2 == main(["fuse", *map(str, pair), str(out), *arguments])
    assert "--softness is auto, bands or a number" in capsys.readouterr().err
    assert not out.exists()


def test_softer_is_softer(pair, weights, tmp_path):
    """The dial does what it says."""
    sharpness = []
    for softness in ("0.08", "0.9"):
        out = tmp_path / f"{softness}.tif"
        main(["fuse", *map(str, pair), str(out), "--weights", str(weights), "--softness", softness])
        with rasterio.open(out) as file:
            sharpness.append(np.abs(np.diff(file.read().astype(float))).mean())

    assert sharpness[0] < 0.8 * sharpness[1]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"weights": "absent.safetensors"}, "no weights at"),
        ({"sensor": "Sputnik"}, "no sensor 'Sputnik'"),
        ({"model": "pannet"}, "expected 'pannet'"),
        ({"out": "/proc/nowhere/f.tif"}, "cannot write"),
        ({"ms": "absent.tif"}, "cannot read"),
    ],
)
def test_bad_calls_are_one_line_and_code_2(pair, weights, tmp_path, capsys, change, word):
    """Nothing half-written."""
    named = {"weights": str(weights), "sensor": "auto"} | change
    pan, ms, out = (
        str(pair[0]),
        named.pop("ms", str(pair[1])),
        named.pop("out", f"{tmp_path}/f.tif"),
    )
    flags = [text for key, value in named.items() for text in (f"--{key}", value)]

    assert 2 == main(["fuse", pan, ms, out, *flags])
    assert word in capsys.readouterr().err
    assert {"pan.tif", "ms.tif"} == {p.name for p in tmp_path.iterdir()}


def test_a_sample_becomes_tiffs_that_can_be_fused(small_build, weights, tmp_path):
    """A simulated sample lies nowhere: its files say no place, and fuse as they are."""
    scene, out = tmp_path / "scene", tmp_path / "out.tif"

    assert 0 == main(["export", str(small_build), str(scene)])

    for name, side in (("pan", 64), ("ms", 16), ("gt", 64)):
        with rasterio.open(scene / f"{name}.tif") as file:
            assert (side, side) == file.shape
            assert file.crs is None
            assert file.transform.is_identity
    pair = [str(scene / "pan.tif"), str(scene / "ms.tif")]
    assert 2 == main(["fuse", *pair, str(out), "--weights", str(weights)])
    assert 0 == main(["fuse", *pair, str(out), "--weights", str(weights), "--assume-aligned"])


def test_a_simulated_case_carries_the_facts_of_its_sample(small_build):
    """The network and the methods have one sensor model."""
    from fusiontrain.data.shard_file import first_sample
    from fusiontrain.evaluation.protocols import simulated

    sample = first_sample(small_build)
    case = simulated(sample, "simulated")

    assert list(sample.facts.mtf_ms) == pytest.approx(case.sensor_model.mtf.tolist())
    torch.testing.assert_close(case.batch.softness[0], torch.tensor(sample.facts.softness))


def test_missing_pixels_leave_no_seam(pair, weights, tmp_path):
    """A hole is filled the same way in every window, so the data beside it does not change."""
    with rasterio.open(pair[1], "r+") as file:
        data = (file.read() + 20 * np.arange(100, dtype="uint16")).astype("uint16")
        data[:, 30:38] = 0
        file.write(data)
    for name, window in (("whole", "2048"), ("tiled", "64")):
        out = str(tmp_path / f"{name}.tif")
        main(["fuse", *map(str, pair), out, "--weights", str(weights), "--window", window])

    with rasterio.open(tmp_path / "whole.tif") as a, rasterio.open(tmp_path / "tiled.tif") as b:
        assert np.abs(a.read().astype(int) - b.read().astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("pan_nodata", "ms_dtype", "expected"),
    [(0, "uint16", 0), (-9999, "uint8", 0), (7, "float32", np.nan)],
)
def test_what_is_missing_in_pan_alone_is_missing_in_the_output(
    weights, tmp_path, pan_nodata, ms_dtype, expected
):
    """The MS names no nodata value; the output needs one all the same."""
    ms, pan = arrays(40, 40)
    pan = pan.numpy().astype("int16")
    pan[:, :20] = pan_nodata
    paths = []
    for name, image, grid, nodata in (
        ("p.tif", pan, GRID, pan_nodata),
        ("m.tif", (ms / 10).numpy().astype(ms_dtype), GRID @ Affine.scale(4), None),
    ):
        paths.append(str(write_geotiff(tmp_path / name, image, grid, nodata=nodata)))

    assert 0 == main(["fuse", *paths, str(tmp_path / "f.tif"), "--weights", str(weights)])

    with rasterio.open(tmp_path / "f.tif") as fused:
        np.testing.assert_equal(fused.nodata, float(expected))
        empty = fused.read_masks(1) == 0
    assert empty[:20].all()
    assert not empty[20:].any()


def test_softness_is_measured_where_there_is_data(weights, monkeypatch):
    """A scene whose middle is empty; of windows as much smaller as it is."""
    from fusiontrain.fusion import sensor_model
    from fusiontrain.scenes.scene import Window

    monkeypatch.setattr(sensor_model, "MAX_SIDE", 128)
    estimate_pair = sensor_model.estimate_pair
    ms, pan = arrays(150, 150)
    full = Scene(name="x", ms=ms, pan=pan)

    class Holed:
        bands, ratio, shape, phase = 4, 4, (150, 150), "aligned"

        def read(self, box):
            part = full.read(box)
            fine = box.scaled(4)
            rows = torch.arange(fine.top, fine.bottom)[:, None]
            columns = torch.arange(fine.left, fine.right)[None]
            valid = (rows < 250) & (columns < 375)
            return Window(
                ms=torch.where(valid[::4, ::4], part.ms, 300.0),
                pan=torch.where(valid, part.pan, 500.0),
                valid=valid,
            )

    expected, found = (estimate_pair(scene).softness for scene in (full, Holed()))
    assert expected == pytest.approx(found, abs=0.03)

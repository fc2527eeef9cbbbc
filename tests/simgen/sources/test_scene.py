"""Real pairs of PAN and MS, by Wald's protocol, into shards of the same contract."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.sensors import SENSORS
from shards.tar import read_samples
from simgen.building.build import run_build
from simgen.building.verify import verify
from simgen.cli import main
from simgen.errors import BuildError, SourceError
from simgen.recipes import find_recipe
from simgen.simulate.wald import reduce_pair
from simgen.sources import open_source

SMALL = {"tile": 32, "ratio": 4, "bands": (4, 8)}


def write_pair(root, name, *, bands=4, side=80, ratio=4, facts=None, dtype=np.uint16, **options):
    """A pair with smooth content; MS and PAN as DN of 11 bits."""
    rng = np.random.default_rng(len(name))
    coarse = rng.integers(40, 2000, (bands, side // 8 + 1, side // 8 + 1))
    ms = coarse.repeat(8, 1).repeat(8, 2)[:, :side, :side].astype(dtype)
    pan = ms.mean(0).repeat(ratio, 0).repeat(ratio, 1)[None].astype(dtype)
    for ending, image in (("ms", ms), ("pan", pan)):
        C, H, W = image.shape
        profile = {"driver": "GTiff", "count": C, "height": H, "width": W, "dtype": dtype}
        with rasterio.open(root / f"{name}_{ending}.tif", "w", **(profile | options)) as tiff:
            tiff.write(image)
    if facts is not None:
        (root / f"{name}.json").write_text(json.dumps(facts))
    return ms, pan


@pytest.fixture
def scenes(tmp_path):
    """Two sensors of 4 and 8 bands, and one pair of each kind that does not fit."""
    root = tmp_path / "scenes"
    (root / "more").mkdir(parents=True)
    write_pair(root, "qb", facts={"sensor": "QuickBird", "bit_depth": 11, "licence": "CC BY 4.0"})
    write_pair(root / "more", "wv", bands=8, facts={"sensor": "WorldView-3"})
    write_pair(root, "landsat", ratio=2)
    write_pair(root, "three", bands=3)
    write_pair(root, "small", side=30)
    write_pair(root, "float", dtype=np.float32)
    write_pair(root, "alone")
    (root / "alone_ms.tif").unlink()
    write_pair(root, "cut")
    (root / "cut_pan.tif").write_bytes((root / "cut_pan.tif").read_bytes()[:90_000])
    write_pair(root, "badjson")
    (root / "badjson.json").write_text('{"sensor": ')
    return root


def build_of(make, root, out, **changes):
    from dataclasses import replace

    recipe = replace(find_recipe("wald"), tile=32)
    options = {"recipe": recipe, "draws": 1, "bands": (4, 8), "shard_size": 3}
    return make("scene", root, out, **(options | changes))


def test_pairs_become_shards_twice_alike(scenes, tmp_path, small_build_of):
    """2 x 2 tiles of each good pair; every other one named; the same bytes again."""
    first = run_build(build_of(small_build_of, scenes, tmp_path / "a"), workers=1)
    run_build(build_of(small_build_of, scenes, tmp_path / "b"), workers=1)

    assert 8 == first.samples
    assert [(4, 3), (4, 1), (8, 3), (8, 1)] == [(r.bands, r.samples) for r in first.shards]
    assert "wald" == first.recipe
    assert "CC BY 4.0" in first.licence
    reasons = {r.source: r.reason for r in first.rejected}
    assert {"landsat", "three", "small", "float", "alone", "cut", "badjson"} == set(reasons)
    assert "ratio 2; this build makes ratio 4" in reasons["landsat"]
    assert "3 bands" in reasons["three"]
    assert "--tile" in reasons["small"]
    assert "float32" in reasons["float"]
    assert "no alone_ms.tif" in reasons["alone"]
    assert "badjson.json does not read" in reasons["badjson"]
    assert first.to_json() == Manifest.load(tmp_path / "b").to_json()
    verify(tmp_path / "a")


def test_a_sample_is_the_scenes_own_ms_and_its_sensors_facts(scenes, tmp_path, small_build_of):
    """gt is a window of the MS, DN for DN; gains are the published row's."""
    with rasterio.open(scenes / "qb_ms.tif") as tiff:
        whole = tiff.read()
    manifest = run_build(build_of(small_build_of, scenes, tmp_path / "s"), workers=1)

    seen = 0
    for row in manifest.shards:
        for _, members in read_samples(tmp_path / "s" / row.name):
            gt, ms, pan, facts = decode_sample(members)
            sensor = SENSORS["QuickBird" if gt.shape[0] == 4 else "WorldView-3"]
            assert sensor.name == facts.sensor
            assert 11 == facts.bits
            assert sensor.mtf_ms == pytest.approx(facts.mtf_ms, abs=2e-3)
            assert (gt.shape[0], 8, 8) == ms.shape
            assert (1, 32, 32) == pan.shape
            name, _, place = facts.source.partition("#")[0].rpartition("/")
            if name == "qb":
                r, c = map(int, place[1:].split("c"))
                np.testing.assert_array_equal(whole[:, r : r + 32, c : c + 32], gt)
                seen += 1
    assert 4 == seen


def test_a_tile_is_the_reduced_scenes_own_window(scenes, tmp_path, small_build_of):
    """What lies around a tile is read with it: no seam where tiles meet."""
    with rasterio.open(scenes / "qb_ms.tif") as ms, rasterio.open(scenes / "qb_pan.tif") as pan:
        gains = SENSORS["QuickBird"].mtf_ms
        low, less = reduce_pair(
            ms.read().astype(np.float32), pan.read().astype(np.float32), gains, ratio=4
        )
    manifest = run_build(build_of(small_build_of, scenes, tmp_path / "s"), workers=1)

    for row in manifest.shards[:2]:
        for _, members in read_samples(tmp_path / "s" / row.name):
            _, ms, pan, facts = decode_sample(members)
            r, c = map(int, facts.source.partition("#")[0].rpartition("/r")[2].split("c"))
            expected = low[:, r // 4 : r // 4 + 8, c // 4 : c // 4 + 8]
            assert np.abs(ms - expected).max() <= 0.51
            assert np.abs(pan - less[:, r : r + 32, c : c + 32]).max() <= 0.51


def test_pan_is_reduced_as_pillow_does_it():
    """Antialiased bicubic, area-aligned; MS keeps a ramp where it was."""
    rng = np.random.default_rng(0)
    pan = rng.uniform(0, 2000, (1, 128, 128)).astype(np.float32)
    ramp = np.tile(np.arange(32, dtype=np.float32), (32, 1))[None]

    low, less = reduce_pair(ramp, pan, (0.3,), ratio=4)

    expected = np.asarray(Image.fromarray(pan[0]).resize((32, 32), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(less[0, 2:-2, 2:-2], expected[2:-2, 2:-2], rtol=1e-4, atol=0.02)
    np.testing.assert_allclose(low[0, 4, 3:-3], np.arange(8)[3:-3] * 4 + 1.5, atol=2e-2)


def test_nodata_leaves_a_tile_out(tmp_path, small_build_of):
    """And its neighbours within the blur's reach; the others stay."""
    root = tmp_path / "n"
    root.mkdir()
    write_pair(root, "hole", side=96, nodata=0)
    with rasterio.open(root / "hole_ms.tif", "r+") as tiff:
        image = tiff.read()
        image[:, 2, 2] = 0
        tiff.write(image)

    manifest = run_build(build_of(small_build_of, root, tmp_path / "s"), workers=1)

    assert ["hole/r0c0"] == [r.source for r in manifest.rejected]
    assert 8 == manifest.samples


def test_the_digest_follows_pixels_and_facts(scenes):
    """A pixel, the sensor's name."""

    def digest():
        return open_source("scene", scenes, **SMALL).digest

    seen = {digest()}
    with rasterio.open(scenes / "qb_ms.tif", "r+") as tiff:
        image = tiff.read()
        image[0, 5, 5] += 1
        tiff.write(image)
    seen.add(digest())
    (scenes / "qb.json").write_text('{"sensor": "IKONOS", "bit_depth": 11}')

    assert 3 == len({*seen, digest()})


def test_scenes_are_not_simulated_nor_photographs_reduced(scenes, photos, tmp_path, capsys):
    """Recipe and dataset must fit; one line, exit code 2."""
    common = ["build", "--out", str(tmp_path / "out"), "--tile", "32"]
    for arguments, message in (
        (["--dataset", "scene", "--source", str(scenes), "--recipe", "sensor"], "goes with"),
        (["--dataset", "folder", "--source", str(photos), "--recipe", "wald"], "goes with"),
        (["--dataset", "scene", "--source", str(scenes), "--draws", "2"], "without draws"),
        (["--dataset", "scene", "--source", str(photos)], "no pair of NAME_pan.tif"),
        (["--dataset", "scene"], "needs --source"),
    ):
        assert 2 == main([*common, *arguments])
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_ratio_two_has_its_own_recipe(scenes, tmp_path):
    """Landsat's pairs, by the same command."""
    out = tmp_path / "out"
    arguments = ["build", "--dataset", "scene", "--source", str(scenes), "--out", str(out)]

    assert 0 == main([*arguments, "--recipe", "wald-x2", "--tile", "32"])
    assert 4 == Manifest.load(out).samples


def test_all_tiles_bad_is_no_build(tmp_path, small_build_of):
    """DN beyond the stated depth are found on reading."""
    root = tmp_path / "n"
    root.mkdir()
    write_pair(root, "hole", side=40, nodata=0)
    with rasterio.open(root / "hole_ms.tif", "r+") as tiff:
        image = tiff.read()
        image[:, 8, 8] = 0
        tiff.write(image)
    with pytest.raises(BuildError, match="nodata in the tile"):
        run_build(build_of(small_build_of, root, tmp_path / "s"), workers=1)
    with pytest.raises(SourceError, match="point `root`"):
        open_source("scene", tmp_path / "absent", **SMALL)


@pytest.mark.parametrize(
    ("name", "sensor", "tile"), [("WV3_zpnn_1", "WorldView-3", 32), ("UNK_jian_5", "generic", 64)]
)
def test_a_real_pair(shared, tmp_path, small_build_of, name, sensor, tile):
    """A published pair as it lies in ../shared: its own MS is the truth, PAN explains it."""
    from dataclasses import replace

    root = tmp_path / "real"
    root.mkdir()
    for ending in ("_pan.tif", "_ms.tif", ".json"):
        (root / f"{name}{ending}").symlink_to(shared(f"data/real/{name}{ending}"))
    recipe = replace(find_recipe("wald"), tile=tile)

    manifest = run_build(build_of(small_build_of, root, tmp_path / "s", recipe=recipe), workers=1)

    licence = json.loads((root / f"{name}.json").read_text())["licence"]
    assert licence == manifest.licence
    assert manifest.samples
    for row in manifest.shards:
        for _, members in read_samples(tmp_path / "s" / row.name):
            gt, _, pan, facts = decode_sample(members)
            assert sensor == facts.sensor
            assert np.corrcoef(gt.mean(0).ravel(), pan.ravel())[0, 1] > 0.6

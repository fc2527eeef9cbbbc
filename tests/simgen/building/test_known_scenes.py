"""Scenes of known truth: which squares of an image, what is fixed, what the files hold."""

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from simgen.building.known_scenes import make_known_scenes, plan_tiles
from simgen.cli import main
from simgen.recipes.known import known


def save_photograph(path, seed, height, width):
    """Patches of colour with noise, as PNG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 235, (height // 12 + 1, width // 12 + 1, 3))
    fine = np.kron(coarse, np.ones((12, 12, 1)))[:height, :width]
    noisy = np.clip(fine + rng.normal(0, 6, fine.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path)


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def test_tiles_are_squares_inside_the_image_that_share_no_pixel():
    """Large images are reduced most; small ones less; the smallest give none."""
    seen = {}
    for height, width in ((2472, 2299), (1249, 1035), (660, 800), (400, 400), (321, 481)):
        tiles = plan_tiles(height, width)
        seen[height, width] = (len(tiles), tiles[0].reduction, tiles[0].side)
        covered = np.zeros((height, width), int)
        for tile in tiles:
            wide = tile.side * tile.reduction
            assert tile.row + wide <= height
            assert tile.column + wide <= width
            covered[tile.row : tile.row + wide, tile.column : tile.column + wide] += 1
        assert covered.max() == 1

    assert {
        (2472, 2299): (4, 4, 284),
        (1249, 1035): (1, 4, 256),
        (660, 800): (1, 3, 220),
        (400, 400): (1, 2, 200),
        (321, 481): (1, 2, 160),
    } == seen
    assert plan_tiles(239, 2000) == []
    assert len(plan_tiles(8000, 8000)) == 4


def test_a_scene_depends_on_its_images_name_and_pixels_alone(tmp_path):
    """Not on the folder or its other images; another name is seen through another sensor."""
    for place, names in (("one", ["b.png"]), ("two", ["a.png", "b.png", "c.png"])):
        (tmp_path / place).mkdir()
        for name in names:
            save_photograph(tmp_path / place / name, 4, 256, 260)

    (alone,) = make_known_scenes(tmp_path / "one")
    among = {scene.name: scene for scene in make_known_scenes(tmp_path / "two")}

    for mine, theirs in zip(alone.arrays, among["b"].arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert alone.facts == among["b"].facts
    assert among["a"].facts.mtf_ms != among["b"].facts.mtf_ms


def test_the_truth_is_the_image_itself_in_place(tmp_path):
    """Its bands follow the reduced image's own colours: blue, green, red. PAN lies on them."""
    save_photograph(tmp_path / "x.png", 7, 512, 512)

    (scene,) = make_known_scenes(tmp_path)

    gt, ms, pan = scene.arrays
    side = scene.tile.side
    assert ((len(ms), side // 4, side // 4), (1, side, side)) == (ms.shape, pan.shape)
    with Image.open(tmp_path / "x.png") as image:
        wide = side * scene.tile.reduction
        top, left = scene.tile.row, scene.tile.column
        cut = image.crop((left, top, left + wide, top + wide))
        rgb = np.asarray(cut.resize((side, side), Image.Resampling.BOX), float) / 255
    for colour, name in enumerate(("red", "green", "blue")):
        band = gt[scene.bands.index(name)].astype(float)
        light = rgb[..., colour] ** 2.2
        assert np.corrcoef(band.ravel(), light.ravel())[0, 1] > 0.98
        for axis in (0, 1):  # a pixel off, it fits worse
            assert (
                np.corrcoef(np.roll(band, 1, axis).ravel(), light.ravel())[0, 1]
                < np.corrcoef(band.ravel(), light.ravel())[0, 1]
            )


def test_four_bands_of_a_file_stay_what_they_are(tmp_path):
    """NAIP's red, green, blue and NIR become blue, green, red and NIR."""
    rng = np.random.default_rng(1)
    bands = np.kron(rng.integers(30, 220, (4, 22, 22)), np.ones((1, 12, 12))).astype(np.uint8)
    profile = {"driver": "GTiff", "count": 4, "height": 264, "width": 264, "dtype": "uint8"}
    # Else GDAL takes the fourth band for alpha.
    with rasterio.open(tmp_path / "naip.tif", "w", **profile, photometric="minisblack") as file:
        file.write(bands)

    (scene,) = make_known_scenes(tmp_path)

    gt, side = scene.arrays[0].astype(float), scene.tile.side
    low = bands[:, : 2 * side, : 2 * side].reshape(4, side, 2, side, 2).mean((2, 4))
    assert ("blue", "green", "red", "nir") == scene.bands
    for band, own in zip(gt, low[[2, 1, 0, 3]], strict=True):
        assert np.corrcoef(band.ravel(), own.ravel())[0, 1] > 0.97


def test_the_command_writes_pairs_with_their_truth(tmp_path, capsys):
    """Grids fit; a second run writes the same bytes; images of no use are named."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    save_photograph(photos / "x.png", 1, 260, 300)
    save_photograph(photos / "tiny.png", 2, 80, 90)
    (photos / "broken.jpg").write_bytes(b"nothing")

    codes = [main(["known", str(photos), str(out)])]
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    codes.append(main(["known", str(photos), str(out)]))

    assert [0, 0] == codes
    assert first == {path.name: path.read_bytes() for path in out.iterdir()}
    assert {"x.json", "x_gt.tif", "x_ms.tif", "x_pan.tif"} == set(first)
    facts = json.loads(first["x.json"])
    gt, ms, pan = (read(out / f"x_{what}.tif") for what in ("gt", "ms", "pan"))
    assert (facts["ratio"], len(facts["mtf_ms"]), len(facts["bands"])) == (4, len(ms), len(ms))
    assert gt.shape[1:] == pan.shape[1:] == tuple(4 * side for side in ms.shape[1:])
    assert max(image.max() for image in (gt, ms, pan)) < 2 ** facts["bit_depth"]
    printed = capsys.readouterr().out
    assert "left out tiny.png: 90x80 is under 240 pixels a side" in printed
    assert "left out broken.jpg: not an image" in printed


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png", "a.jpg"], "two images are named a"),
        (["small"], "gives a scene: 80x80 is under 240"),
        ([], "no images below"),
    ],
)
def test_a_folder_of_no_use_is_one_line(tmp_path, capsys, names, message):
    for name in names:
        if name == "small":
            save_photograph(tmp_path / "small.png", 0, 80, 80)
        else:
            save_photograph(tmp_path / name, 0, 256, 256)

    assert 2 == main(["known", str(tmp_path), str(tmp_path / "out")])

    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) <= 2
    assert not (tmp_path / "out").exists()


def test_the_set_is_fixed():
    """Another digest is another set of scenes: figures that name the old one are then void."""
    assert (
        "5988fd0e81aacad6956bdf8782f91d6fcbb17b20ab67ccf4113569d9a0934855"
        == known(tile=256, reduction=4).digest
    )

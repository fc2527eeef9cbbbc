"""Tiles of the openly licensed photographs: where they lie, and which are left out."""

import numpy as np
import pytest
from PIL import Image

from bench.study.open_images import main


@pytest.fixture
def photograph():
    """900 x 600 pixels of noise, whose left third is a flat grey."""
    pixels = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype="uint8")
    pixels[:, :300] = 128
    return pixels


def test_tiles_cover_an_image_but_for_what_is_flat(photograph, tmp_path, monkeypatch):
    from bench.study import open_images

    monkeypatch.setattr(open_images, "LOMIRI", {})
    monkeypatch.setattr(open_images, "SMALL", ())
    monkeypatch.setattr(open_images, "NAIP", ("a.tif", "b.tif"))
    monkeypatch.setattr(open_images, "NAIP_SIDE", 300)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    Image.fromarray(photograph).save(tmp_path / "in" / "a.tif")
    Image.fromarray(photograph[:200, 300:550]).save(tmp_path / "in" / "deep" / "b.tif")
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "in"), str(tmp_path / "out")])

    assert 0 == main()

    tiles = {path.stem: np.asarray(Image.open(path)) for path in (tmp_path / "out").iterdir()}
    expected = {
        f"a_{left}_{top}": photograph[top : top + 300, left : left + 300]
        for left in (300, 600)
        for top in (0, 300)
    }
    # An image below the side gives squares of its shorter one.
    expected["b_0_0"] = photograph[:200, 300:500]
    assert sorted(expected) == sorted(tiles)
    for name, tile in tiles.items():
        assert np.array_equal(expected[name], tile), name


def test_a_missing_photograph_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path), str(tmp_path / "out")])

    with pytest.raises(SystemExit, match=r"no Bridge_by_Sander_Klootwijk\.jpg below .*unpack"):
        main()

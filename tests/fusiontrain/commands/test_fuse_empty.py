"""Windows and scenes without data: nothing is computed for them, and nothing changes elsewhere."""

from functools import partial

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.models.anyband.default_network import AnyBand
from tests.support.geotiffs import write_pair

GRID = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)
SIDE, RATIO = 1536, 4
ISLANDS = ((slice(0, 150), slice(1100, 1400)), (slice(1200, 1500), slice(1100, 1500)))


def images(bands=3):
    """PAN (1, H, W) and MS (C, h, w), uint16; 0, nodata, but for two islands."""
    rng = np.random.default_rng(5)
    pan, ms = np.zeros((SIDE, SIDE)), np.zeros((bands, SIDE // RATIO, SIDE // RATIO))
    for rows, columns in ISLANDS:
        shape = rows.stop - rows.start, columns.stop - columns.start
        ground = np.kron(
            rng.uniform(200, 1500, (-(-shape[0] // 10), -(-shape[1] // 10))), np.ones((10, 10))
        )
        pan[rows, columns] = ground[: shape[0], : shape[1]] + rng.uniform(0, 60, shape)
    low = pan.reshape(SIDE // RATIO, RATIO, SIDE // RATIO, RATIO)
    full = (low > 0).all((1, 3))
    ms[:] = np.where(full, low.mean((1, 3)) * np.linspace(0.6, 1.1, bands)[:, None, None] + 5, 0)
    return pan[None].astype("u2"), ms.astype("u2")


write = partial(write_pair, nodata=0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write(tmp_path_factory.mktemp("islands"), *images())


HOW = {"sensor": "IKONOS", "softness": 0.3, "register": False}


@pytest.mark.parametrize("method", ["gsa", "bt-h", "glp-fs"])
def test_islands_are_the_same_whole_and_by_windows(pair, method):
    """Most windows of 256 hold nothing; in one window everything is computed."""
    parts = pansharpen(*pair, method=method, window=256, **HOW)
    whole = pansharpen(*pair, method=method, window=SIDE, **HOW)

    assert np.abs(parts.astype(int) - whole).max() <= 1
    there = (whole > 0).all(0)
    assert there.any()
    assert (parts[:, ~there] == 0).all()


def test_a_network_looks_at_windows_with_data_alone(pair, monkeypatch):
    """As many as the files themselves show, of 36; and pixels are those of one window."""
    seen = []
    fuse_part = AnyBand.forward_part
    monkeypatch.setattr(
        AnyBand, "forward_part", lambda net, *given: (seen.append(1), fuse_part(net, *given))[1]
    )

    parts = pansharpen(*pair, weights="small", window=256, **HOW)
    looked = len(seen)
    whole = pansharpen(*pair, weights="small", window=SIDE, **HOW)

    assert looked == _windows_with_data(pair, 256)
    assert looked < 20
    assert np.abs(parts.astype(int) - whole).max() <= 1


def _windows_with_data(pair, side):
    """By the files themselves."""
    with rasterio.open(pair[0]) as pan, rasterio.open(pair[1]) as ms:
        low = (ms.read() > 0).all(0).repeat(RATIO, 0).repeat(RATIO, 1)
        data = (pan.read(1) > 0) & low
    return sum(
        data[top : top + side, left : left + side].any()
        for top in range(0, SIDE, side)
        for left in range(0, SIDE, side)
    )


def test_the_file_and_the_array_agree_where_nothing_was_written(pair, tmp_path):
    """A COG made of blocks that its plain copy left out."""
    out = tmp_path / "f.tif"
    how = ["--method", "gsa", "--sensor", "IKONOS", "--softness", "0.3", "--register", "off"]

    assert 0 == main(["fuse", *pair, str(out), *how])

    with rasterio.open(out) as file:
        assert file.nodata == 0
        np.testing.assert_array_equal(file.read(), pansharpen(*pair, method="gsa", **HOW))


@pytest.mark.parametrize("method", ["brovey", "gsa", "bt-h", "net"])
@pytest.mark.parametrize("given", [[], ["--sensor", "IKONOS", "--softness", "0.3"]])
def test_a_scene_without_data_is_one_line(tmp_path, capsys, method, given):
    """Whether its blur is to be measured or is given; nothing is left behind."""
    paths = write(tmp_path, *(image[:, :1200, :1200] * 0 for image in images()))
    before = {p.name for p in tmp_path.iterdir()}

    assert 2 == main(["fuse", *paths, str(tmp_path / "f.tif"), "--method", method, *given])

    assert "has data" in capsys.readouterr().err
    assert before == {p.name for p in tmp_path.iterdir()}

"""JP2 decoded once: the pixels of every window, from few reads."""

import os
from contextlib import ExitStack

import numpy as np
import pytest
from rasterio.transform import Affine

from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.unpacked_once import UnpackedOnce, unpacked_once
from tests.support.geotiffs import write_geotiff

BOXES = ((0, 0, 150, 200), (60, 100, 70, 200), (63, 63, 65, 129), (149, 0, 150, 1), (5, 7, 140, 9))


@pytest.fixture
def paths(tmp_path):
    """Two bands of 150 x 200 pixels in tiles of 64."""
    rng = np.random.default_rng(0)
    grid = Affine(10, 0, 500_000, 0, -10, 4_000_000)
    options = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    options |= {"BLOCKXSIZE": "64", "BLOCKYSIZE": "64"}
    return [
        write_geotiff(tmp_path / f"{name}.jp2", rng.integers(0, 4000, (1, 150, 200)), grid,
                      dtype="uint16", **options)
        for name in "AB"
    ]  # fmt: skip


def windows(raster):
    return [
        raster.read_valid(Box(top=t, left=x, bottom=b, right=r))[0].numpy() for t, x, b, r in BOXES
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_windows_are_those_of_the_images(paths, count):
    with ExitStack() as stack:
        raster = stack.enter_context(open_raster(paths[:count]))
        once = unpacked_once(stack, raster)

        assert all(isinstance(file, UnpackedOnce) for file in once.files)
        for found, expected in zip(windows(once), windows(raster), strict=True):
            assert np.array_equal(found, expected)


def decoded(raster):
    """How many blocks its files decode for the windows above, twice over."""
    reads = []

    class Counted:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def read(self, *arguments, **options):
            reads.append(options["window"])
            return self.file.read(*arguments, **options)

    for file in raster.files:
        file._image = Counted(file._image)
    again = [windows(raster) for _ in range(2)]
    return len(reads), again[1]


def test_each_block_is_decoded_once(paths):
    with ExitStack() as stack:
        raster = stack.enter_context(open_raster(paths))
        (high, wide), *_ = raster.files[0].block_shapes

        reads, _ = decoded(unpacked_once(stack, raster))

    assert (high, wide) != (150, 200)
    assert reads == 2 * -(-150 // high) * -(-200 // wide)


def test_where_the_disk_is_full_blocks_are_decoded_anew(paths, monkeypatch):
    """Half a block is no block: the pixels stay right."""
    with ExitStack() as stack:
        raster = stack.enter_context(open_raster(paths))
        expected, once = windows(raster), unpacked_once(stack, raster)
        write = os.pwrite
        monkeypatch.setattr(
            os, "pwrite", lambda file, data, at: write(file, data[: max(0, 20_000 - at)], at)
        )

        reads, found = decoded(once)

    assert reads > 2 * 3
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)


def test_other_formats_stay_as_they_are(tmp_path):
    path = write_geotiff(tmp_path / "a.tif", np.ones((1, 40, 40)), dtype="uint16")

    with ExitStack() as stack:
        raster = stack.enter_context(open_raster(path))
        assert unpacked_once(stack, raster).files == raster.files

"""Masks of products: each block is read once, whatever windows are asked for."""

import numpy as np
from affine import Affine

from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.described_file import DescribedFile, MaskPolygons
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.quality_mask import QualityMask
from tests.support.geotiffs import write_geotiff


def test_windows_of_a_mask_are_those_of_the_whole():
    """1024 pixels a block: over several, at the edges, and where nothing is ruled out."""
    rng = np.random.default_rng(0)
    whole = rng.uniform(size=(2500, 1300)) < 0.001
    whole[:1024, 1024:] = False
    read = []

    def part(box):
        read.append(box)
        return whole[box.top : box.bottom, box.left : box.right]

    mask = QualityMask(height=2500, width=1300, read=part)
    for box in (
        (0, 0, 2500, 1300),
        (1000, 1000, 1100, 1300),
        (2400, 5, 2500, 9),
        (3, 1100, 9, 1200),
    ):
        top, left, bottom, right = box
        window = Box(top=top, left=left, bottom=bottom, right=right)
        expected = whole[top:bottom, left:right]
        found = mask.ruled_out(window)
        assert np.array_equal(np.zeros_like(expected) if found is None else found, expected)
        assert mask.count(window) == expected.sum()
    assert mask.ruled_out(Box(top=0, left=1024, bottom=1024, right=1300)) is None
    assert len(read) == 6


def test_a_band_keeps_its_own_mask_where_others_are_picked(tmp_path):
    """A square with a hole on B; A and C have no mask."""
    grid = Affine(10, 0, 500_000, 0, -10, 4_000_000)
    paths = [write_geotiff(tmp_path / f"{n}.tif", np.ones((1, 40, 40)), grid, dtype="uint16")
             for n in "ABC"]  # fmt: skip
    square, hole = (
        tuple((500_000 + 10 * x, 4_000_000 - 10 * y) for x, y in ring)
        for ring in (
            ((5.1, 5.1), (19.9, 5.1), (19.9, 19.9), (5.1, 19.9), (5.1, 5.1)),
            ((9.5, 9.5), (14.5, 9.5), (14.5, 14.5), (9.5, 14.5), (9.5, 9.5)),
        )
    )
    files = [DescribedFile(source=path) for path in paths]
    files[1] = DescribedFile(source=paths[1], mask=MaskPolygons(polygons=((square, hole),)))
    box = Box(top=3, left=3, bottom=40, right=40)
    hidden = np.zeros((40, 40), bool)
    hidden[5:20, 5:20] = True
    hidden[10:14, 10:14] = False

    with open_raster(files) as raster:
        _, valid = raster.pick([3, 2]).read_valid(box)
        _, without = raster.pick([1, 3]).read_valid(box)

    assert np.array_equal(~valid.numpy(), hidden[3:, 3:])
    assert without.all()

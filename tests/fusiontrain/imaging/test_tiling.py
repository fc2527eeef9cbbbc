import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fusiontrain.imaging.tiling import grid_step, tile_scene


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 40),
    st.integers(0, 20),
    st.integers(1, 4),
)
def test_cores_cover_every_pixel_once(height, width, side, halo, step):
    """No gap, no overlap; each window holds its core and stays in the scene."""
    seen = np.zeros((height, width), int)
    tiles = list(tile_scene(height, width, side=side, halo=halo, step=step))

    for tile in tiles:
        core, read = tile.core, tile.padded
        seen[core.top : core.bottom, core.left : core.right] += 1
        assert 0 <= read.top <= core.top < core.bottom <= read.bottom <= height
        assert 0 <= read.left <= core.left < core.right <= read.right <= width
        assert 0 == read.top % step == read.left % step
        assert core.top - read.top >= min(halo, core.top)
        rows, columns = core.inside(read)
        assert core.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert (1 == seen).all()


def test_windows_start_where_both_grids_do():
    """At ratio 3 and multiples of 4 PAN pixels, every fourth MS pixel."""
    assert [2, 4, 1, 4, 2] == [grid_step(ratio, 4) for ratio in (2, 3, 4, 5, 6)]

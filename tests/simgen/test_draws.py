from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.sensors import SENSORS
from simgen.config import Recipe
from simgen.draws import draw_fields, draw_sample
from simgen.recipes import find_recipe


def draw(key="a", bands=4, recipe="sensor", seed=0, height=400, width=500):
    return draw_sample(
        find_recipe(recipe), bands=bands, seed=seed, key=key, height=height, width=width
    )


def test_a_sample_is_its_key_and_seed():
    """Same key, same dice; another key or seed, other dice."""
    np.testing.assert_array_equal(draw().rows_C3, draw().rows_C3)
    assert draw().crop == draw().crop
    assert draw().entropy != draw("b").entropy
    assert draw().entropy != draw(seed=1).entropy
    assert draw().entropy != draw(bands=5).entropy


@given(st.integers(256, 3000), st.integers(256, 3000), st.integers(0, 10**6))
def test_the_scene_always_lies_inside(height, width, key):
    """Crop inside the photograph, scene inside the mirrored crop, whatever the sizes."""
    recipe = find_recipe("sensor")
    size = recipe.tile * recipe.oversample

    d = draw(str(key), height=height, width=width)

    row, column, h, w = d.crop
    assert h >= d.resized[0]  # never enlarged: that would soften the scene unseen
    assert w >= d.resized[1]
    assert 0 <= row <= height - h
    assert 0 <= column <= width - w
    for corner, side in zip(d.corner, d.resized, strict=True):
        assert 0 <= corner <= 2 * side - size


@pytest.mark.parametrize("bands", [1, 2, 3, 8, 13])
def test_paper_bands_and_pan_are_convex_mixes(bands):
    """arXiv 2512.02643: rows of U(0,1) normalised to sum 1; PAN over a random subset."""
    for key in range(20):
        d = draw(str(key), bands=bands, recipe="paper")

        assert (d.rows_C3 >= 0).all()
        np.testing.assert_allclose(d.rows_C3.sum(1), 1, atol=1e-6)
        assert (d.pan_rows_1C >= 0).all()
        assert 1 == pytest.approx(d.pan_rows_1C.sum(), abs=1e-6)
        assert (d.pan_rows_1C > 0).sum() >= min(2, bands)
        assert 0 == d.pan_texture
        assert min(3, bands) == (d.rows_C3.max(1) == 1).sum()  # RGB is kept


def test_sensor_bands_can_oppose_each_other():
    """NIR-like bands need signed mixes: convex ones never give a negative correlation."""
    rgb = np.random.default_rng(0).random((3, 5000))

    lowest = min(
        np.corrcoef(np.maximum(d.rows_C3 @ rgb + d.offset_C[:, None], 0)).min()
        for d in (draw(str(k)) for k in range(40))
    )

    assert lowest < -0.2


def test_gains_lie_in_the_recipes_ranges():
    """And what the facts say is what the taps do."""
    recipe = find_recipe("sensor")
    for key in range(30):
        d = draw(str(key))
        for gains, (low, high) in (
            (d.mtf_ms(recipe.ratio), recipe.mtf_ms),
            (d.softness(recipe.oversample), recipe.softness),
            ((d.mtf_pan(recipe.oversample),), recipe.mtf_pan),
        ):
            assert low - 0.01 <= min(gains) <= max(gains) <= high + 0.01


def test_the_softest_and_crispest_targets_are_both_drawn():
    """Real sensors' effective gains run from .06 to .55 and more."""
    means = [np.mean(draw(str(key)).softness(2)) for key in range(200)]

    assert min(means) < 0.12
    assert max(means) > 0.85


def test_a_named_sensor_has_its_own_gains():
    """The row's MTF, whatever the dice."""
    recipe = find_recipe("sensor", like="QuickBird")

    d = draw_sample(recipe, bands=4, seed=0, key="a", height=600, width=600)

    assert SENSORS["QuickBird"].mtf_ms == pytest.approx(d.mtf_ms(4), abs=2e-3)
    assert 11 == d.bits


def test_fields_are_keyed_and_shaped():
    """Texture on the scene grid, normal noise on the images'."""
    recipe = replace(Recipe(name="x"), tile=64)
    texture, ms, pan = draw_fields(draw("k"), tile=64, ratio=4, oversample=recipe.oversample)
    again = draw_fields(draw("k"), tile=64, ratio=4, oversample=recipe.oversample)

    assert [(1, 128, 128), (4, 16, 16), (1, 64, 64)] == [f.shape for f in (texture, ms, pan)]
    np.testing.assert_array_equal(pan, again[2])
    assert abs(pan.std() - 1) < 0.05

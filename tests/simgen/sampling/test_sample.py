from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.sensors import SENSORS
from simgen.recipes import find_recipe
from simgen.sampling import draw_displacements, draw_noise, draw_texture, sample_parameters


def draw(key="a", bands=4, recipe="sensor", seed=0, height=400, width=500):
    return sample_parameters(
        find_recipe(recipe), bands=bands, seed=seed, key=key, height=height, width=width
    )


def test_a_sample_is_its_key_and_seed():
    """Same key, same parameters; another key or seed, others."""
    np.testing.assert_array_equal(draw().rows_DF, draw().rows_DF)
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

        assert (d.rows_DF >= 0).all()
        np.testing.assert_allclose(d.rows_DF.sum(1), 1, atol=1e-6)
        assert (d.pan_rows_1D >= 0).all()
        assert 1 == pytest.approx(d.pan_rows_1D.sum(), abs=1e-6)
        assert (d.pan_rows_1D > 0).sum() >= min(2, bands)
        assert 0 == d.pan_texture
        assert min(3, bands) == (d.rows_DF.max(1) == 1).sum()  # RGB is kept


def test_sensor_bands_can_oppose_each_other():
    """NIR-like bands need signed mixes: convex ones never give a negative correlation."""
    rgb = np.random.default_rng(0).random((3, 5000))

    lowest = min(
        np.corrcoef(np.maximum(d.rows_DF[:4, :3] @ rgb + d.offset_D[:4, None], 0)).min()
        for d in (draw(str(k)) for k in range(40))
    )

    assert lowest < -0.2


def test_gains_lie_in_the_recipes_ranges():
    """Defocus and halo apart, which are faults on top of what was drawn."""
    recipe = find_recipe("sensor").with_fields(defocus_chance=0.0, halo_chance=0.0)
    for key in range(30):
        d = sample_parameters(recipe, bands=4, seed=0, key=str(key), height=400, width=500)
        for gains, (low, high) in (
            (d.optics.mtf_ms, recipe.optics.mtf_ms),
            (d.optics.softness, recipe.optics.softness),
            ((d.optics.mtf_pan,), recipe.optics.mtf_pan),
        ):
            assert low - 0.01 <= min(gains) <= max(gains) <= high + 0.01


def test_the_softest_and_crispest_targets_are_both_drawn():
    """Real sensors' effective gains run from .06 to .55 and more."""
    means = [np.mean(draw(str(key)).optics.softness) for key in range(200)]

    assert min(means) < 0.12
    assert max(means) > 0.85


def test_a_named_sensor_has_its_own_gains():
    """The row's MTF, whatever is drawn."""
    recipe = find_recipe("sensor", like="QuickBird")

    d = sample_parameters(recipe, bands=4, seed=0, key="a", height=600, width=600)

    assert SENSORS["QuickBird"].mtf_ms == pytest.approx(d.optics.mtf_ms, abs=2e-3)
    assert 11 == d.bits


def test_fields_are_keyed_and_shaped():
    """Texture and displacements on the scene grid, noise on the images'."""
    d = replace(draw("k"), local_shift=1.0, pan_texture=0.1)
    noise, again = (draw_noise(draw("k"), tile=64, ratio=4) for _ in range(2))

    assert (128, 128) == draw_texture(d, 128).shape
    assert (2, 128, 128) == draw_displacements(d, 128).shape
    assert [(4, 16, 16), (1, 64, 64)] == [noise.normal_ms.shape, noise.normal_pan.shape]
    np.testing.assert_array_equal(noise.normal_pan, again.normal_pan)
    assert abs(noise.normal_pan.std() - 1) < 0.05


@pytest.mark.parametrize(
    ("switch", "topic"),
    [
        ("jitter_chance", "jitter"),
        ("moving_chance", "movers"),
        ("shadow_chance", "shadows"),
        ("compression_chance", "optics"),
    ],
)
def test_a_switch_leaves_other_topics_alone(switch, topic):
    """Each topic has its own stream, so recipes that differ in one thing stay comparable."""
    recipe = find_recipe("sensor")
    on, off = (
        sample_parameters(
            recipe.with_fields(**{switch: chance}), bands=4, seed=0, key="a", height=400, width=500
        )
        for chance in (1.0, 0.0)
    )

    np.testing.assert_array_equal(on.rows_DF, off.rows_DF)
    np.testing.assert_array_equal(on.optics.gt, off.optics.gt)
    assert on.crop == off.crop
    assert on.corner == off.corner


def test_random_streams_of_measured_bands():
    """Thirteen bands in, eight out: kept bands are distinct, no gamma, rows over thirteen."""
    recipe = find_recipe("sensor").with_fields(keep_rgb=1.0, haze_chance=0.0, pan_hidden_chance=0.0)

    d = sample_parameters(recipe, bands=8, seed=0, key="a", height=400, width=400, channels=13)

    assert (8, 13) == d.rows_DF.shape
    assert 1 == d.gamma
    assert (1 == (d.rows_DF > 0).sum(1)).all()
    assert 8 == np.unique(d.rows_DF.argmax(1)).size

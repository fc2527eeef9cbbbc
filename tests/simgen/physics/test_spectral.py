import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from shards.errors import PanpriorError
from simgen.physics.spectral import (
    features,
    haze,
    haze_loss,
    mix,
    nir_row,
    reflectances,
    response_rows,
)
from simgen.recipes import find_recipe
from simgen.sampling import sample_parameters
from simgen.sampling.bands import draw_materials

# Reflectances, USGS spectral library version 7 (Kokaly et al. 2017), to a percent or two, at
# 650, 550, 470 nm and at 850 nm: lawn grass, clear water, dry soil.
GRASS, GRASS_NIR = (0.05, 0.10, 0.04), 0.45
WATER, WATER_NIR = (0.02, 0.04, 0.06), 0.01
SOIL = (0.28, 0.22, 0.15)

# WorldView-2's bands, nm: centre and width at half maximum (DigitalGlobe 2010).
WV2 = np.array(
    [[427, 51], [478, 58], [546, 72], [608, 39], [659, 60], [724, 40], [831, 117], [908, 92]]
)


def seen(rgb, row):
    pixel = features(np.array(rgb, np.float32)[:, None, None])
    return float(mix(pixel, np.asarray(row, np.float32)[None], np.zeros(1, np.float32))[0, 0, 0])


def test_features_are_what_the_words_say():
    """Zero where red leads; the pixel loop anyone would write."""
    image = np.random.default_rng(0).random((3, 5, 6)).astype(np.float32)

    got = features(image)

    for y in range(5):
        for x in range(6):
            r, g, b = (float(v) for v in image[:, y, x])
            assert max(g - (r + b) / 2, 0) / (g + r + 0.02) ** 0.5 == pytest.approx(
                got[3, y, x], abs=1e-6
            )
            assert max(b - r, 0) / (b + r + 0.02) ** 0.5 == pytest.approx(got[4, y, x], abs=1e-6)
    np.testing.assert_array_equal(image, got[:3])


def test_bands_that_are_bands_have_no_features():
    """Four-band input stays as it is."""
    image = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)

    np.testing.assert_array_equal(image, features(image))


def test_a_nir_band_is_bright_on_grass_and_dark_on_water():
    """NDVI of published reflectances: grass far above soil, water below."""
    row = nir_row(np.array([0.6, 0.2, 0.1]), 2.0, 0.6)

    ndvi = {
        name: (seen(rgb, row) - rgb[0]) / (seen(rgb, row) + rgb[0])
        for name, rgb in (("grass", GRASS), ("water", WATER), ("soil", SOIL))
    }

    assert (GRASS_NIR - GRASS[0]) / (GRASS_NIR + GRASS[0]) == pytest.approx(ndvi["grass"], abs=0.35)
    assert ndvi["water"] < 0 > (WATER_NIR - WATER[0]) / (WATER_NIR + WATER[0])
    assert ndvi["grass"] > 0.4 > ndvi["soil"] + 0.3


@given(st.lists(st.floats(430, 1000), min_size=1, max_size=8), st.floats(20, 150))
def test_grey_stays_grey(centres, width):
    """A flat spectrum is the same number in every band: rows over RGB sum to one."""
    rows = response_rows(np.array(centres), np.full(len(centres), width), 1.0, 0.5)

    np.testing.assert_allclose(rows[:, :3].sum(1), 1, atol=1e-9)
    assert (rows[:, :4] >= 0).all()
    assert (rows[:, 4] <= 0).all()


def test_worldviews_bands_see_what_they_should():
    """Published centres: blue bands blue, red band red, vegetation from the red edge on."""
    rows = response_rows(WV2[:, 0].astype(float), WV2[:, 1].astype(float), 1.0, 0.5)

    assert [2, 2, 1, 0, 0] == rows[:5, :3].argmax(1).tolist()
    assert (rows[:5, 3] < 0.05).all()
    assert 0.3 < rows[5, 3] < 0.9  # on the edge itself
    assert (rows[6:, 3] > 0.95).all()
    assert seen(GRASS, rows[6]) > 2 * seen(GRASS, rows[4])
    assert seen(WATER, rows[7]) < seen(WATER, rows[1])


def test_a_response_is_an_integral():
    """The red edge's share of a band, by scipy's quadrature."""
    centre, width = 724.0, 40.0
    spread = width / 2.3548

    def weighed(nm):
        return np.exp(-0.5 * ((nm - centre) / spread) ** 2) / (1 + np.exp(-(nm - 715) / 12))

    total = quad(lambda nm: np.exp(-0.5 * ((nm - centre) / spread) ** 2), 600, 850)[0]
    (row,) = response_rows(np.array([centre]), np.array([width]), 1.0, 0.0)

    assert quad(weighed, 600, 850)[0] / total == pytest.approx(row[3], abs=1e-4)


def test_widths_and_centres_belong_together():
    """One each."""
    with pytest.raises(PanpriorError, match="one width a centre"):
        response_rows(np.zeros(3), np.ones(2), 1.0, 0.0)


def test_materials_are_classes_of_colour():
    """A mixture of Gaussians about colours, by Bayes: the loop anyone would write."""
    rng = np.random.default_rng(2)
    colours, width, tints = rng.random((6, 3)), 0.15, rng.uniform(0.3, 3, (4, 6))
    logits = np.column_stack([colours / width**2, -(colours**2).sum(1) / (2 * width**2)])
    light = rng.random((3, 4, 5)).astype(np.float32)

    got = reflectances(light, logits.astype(np.float32), tints.astype(np.float32))

    for y in range(4):
        for x in range(5):
            apart = ((np.sqrt(light[:, y, x]) - colours) ** 2).sum(1)
            likely = np.exp(-apart / (2 * width**2))
            assert tints @ (likely / likely.sum()) == pytest.approx(got[:, y, x], rel=1e-3)


def test_materials_change_sides_from_band_to_band():
    """What RGB cannot do: of two greys the darker is the brighter one in some drawn band."""
    recipe = find_recipe("sensor-clean").with_fields(material_chance=1.0)
    light = np.tile(np.array([0.2, 0.5], np.float32), (3, 1, 1))
    turned = 0
    for seed in range(200):
        drawn = draw_materials(recipe, np.random.default_rng(seed), 4)
        tinted = light.mean(0) * reflectances(light, *drawn)
        turned += int((tinted[:, 0, 0] > tinted[:, 0, 1]).any())

    assert 20 < turned < 150


def test_no_chance_no_materials():
    recipe = find_recipe("sensor").with_fields(material_chance=0.0)

    assert draw_materials(recipe, np.random.default_rng(0), 4) is None


def test_haze_is_koschmieders_law():
    """t = 1 - loss: contrast falls to t, black becomes airlight (1 - t); blue loses most."""
    rows, offset = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    loss = haze_loss(0.4, np.array([620.0, 545.0, 465.0]))
    image = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)

    hazy = mix(image, *haze(rows, offset, loss, 0.8))

    t = 1 - loss
    np.testing.assert_allclose(
        hazy, image * t[:, None, None] + 0.8 * (1 - t)[:, None, None], atol=1e-6
    )
    assert loss[2] > loss[1] > loss[0] > 0
    assert 0.4 == pytest.approx(haze_loss(0.4, np.array([450.0]))[0])


def test_bands_are_shuffled_by_default():
    """With all of RGB kept and no gain, unshuffled rows are blue, green, red."""
    recipe = find_recipe("paper").with_fields(shuffle=0.0)
    rows = [
        sample_parameters(recipe, bands=3, seed=0, key=str(k), height=300, width=300).rows_DF[:, :3]
        for k in range(8)
    ]
    shuffled = sample_parameters(
        find_recipe("paper"), bands=3, seed=0, key="1", height=300, width=300
    )

    assert all(np.array_equal(np.eye(3)[::-1], r) for r in rows)
    assert {0, 1, 2} == set(shuffled.rows_DF[:, :3].argmax(1).tolist())


def test_pan_may_see_a_band_outside_the_ms():
    """One row more than bands, a non-negative share of the weights, their sum as drawn."""
    recipe = find_recipe("sensor").with_fields(
        pan_hidden_chance=1.0, pan_hidden=(0.2, 0.2), pan_gain=(0.9, 0.9)
    )
    draw = sample_parameters(recipe, bands=4, seed=0, key="a", height=300, width=300)

    assert (5, 5) == draw.rows_DF.shape
    assert 0.9 == pytest.approx(draw.pan_rows_1D.sum(), abs=1e-6)
    assert 0.18 == pytest.approx(draw.pan_rows_1D[0, 4], abs=1e-6)
    assert (draw.pan_rows_1D >= 0).all()
    assert 4 == draw.bands

"""Recipes: groups of ranges in memory, one flat table in manifests, the same as in 0.1.0."""

from dataclasses import fields

import pytest

from simgen.config import Recipe
from simgen.effects import GROUPS, LATER
from simgen.errors import ConfigError
from simgen.recipes import RECIPES, find_recipe

# As 0.1.0 computed them, when a recipe had no groups: a build made then must resume and merge.
DIGESTS = {
    "paper": "f9ebcf2f4ecef2d771b5cb8ac3a9c3797634479521088fc22698a14cafa675c4",
    "sensor": "a63a0a8eeb7aff83f2b85cdf199cdddcb8da7759172c8466607747a14bd47a57",
    "sensor-clean": "b3667747937ef17a759f1bb44ebdc69f761006eef15b25809f2c87fded36e9c1",
    "sensor-quiet": "30a27f1a2ffa1ecb68c96174b7a07086b26bfd57c661c09c86b52b6f339fb8f0",
    "sensor-quiet-x2": "f6d0eb89490b0916dde40d318683084627996dfa1e1f9574b1cf95e40c9650f1",
    "sensor-x2": "e77820da29a338a4e734c079b5e515e37e7267cafe07f6b612849f751fe75c43",
    "sensor-x3": "4b1bd0346a0ebba280c9d964662d986fb1fdda803ee78cc3436f335983b40aa1",
    "sensor-x5": "59e1e651545bf4dc7eb48281ebecef5deb7c9a669909a66f0930ddbc2bd92e80",
    "sensor-x6": "03905dea1800ac13e5bf99aaf5227621220aed65c3b3c086b0aba2571664cfbc",
    "wald": "6c232660ab535773feddbebb94527d2f8f98a8fa98f2d229f5869a71e8e5fce0",
    "wald-x2": "ce9ab128af3cf84ead0b108d85731fcc94d866e7f1fb1a6a1cf2c01443ab2b9f",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_digests_of_010_stay(name):
    assert DIGESTS[name] == RECIPES[name]().digest


def test_a_sensors_own_recipe_keeps_its_digest():
    assert (
        "c8d73a09cbb5eeb5946f5f70ecab42dceb199567e67ba346a61fec0b869e1f60"
        == find_recipe("sensor", like="WorldView-3").digest
    )


def test_sensor_fixed_keeps_within_sensor_clean():
    """Narrower MTF, softness and gains; the first bands are the photograph's own."""
    clean, fixed = (RECIPES[name]().as_data() for name in ("sensor-clean", "sensor-fixed"))

    for name in ("mtf_ms", "softness", "band_gain"):
        assert clean[name][0] < fixed[name][0] < fixed[name][1] <= clean[name][1]
    assert (1.0, 0.0) == (fixed["keep_rgb"], fixed["signed_rows"])
    assert fixed["pan_gain"] == [1, 1]


def test_sensor_soft_goes_beyond_sensor_quiet():
    """Targets softer, MS nearer to them; all else is the same."""
    quiet, soft = (RECIPES[name]().as_data() for name in ("sensor-quiet", "sensor-soft"))

    assert soft["softness"][0] < quiet["softness"][0] < soft["softness"][1] < quiet["softness"][1]
    assert quiet["mtf_ms"][1] < soft["mtf_ms"][1]
    assert {"name", "softness", "mtf_ms"} == {key for key in quiet if quiet[key] != soft[key]}


def test_data_are_flat_and_in_the_order_of_010():
    """Nothing of a group's name but what a field itself is called."""
    data = find_recipe("sensor").as_data()
    assert ["name", "tile", "ratio", "oversample", "zoom", "brightness"] == list(data)[:6]
    assert ["compression", "compression_chance"] == list(data)[-2:]
    assert [0.06, 0.5] == data["mtf_ms"]
    assert 0.25 == data["spectral"]
    assert set(GROUPS) & set(data) == {"spectral"}


def test_no_two_fields_have_one_name():
    own = [spec.name for spec in fields(Recipe) if spec.name not in GROUPS]
    names = own + [spec.name for group in GROUPS.values() for spec in fields(group)]
    assert len(names) == len(set(names))
    assert set(names) - LATER == set(Recipe(name="x").as_data())


def test_fields_after_010_are_named_where_they_are_set():
    data = find_recipe("scene").as_data()
    assert ("scene", 0.25) == (data["target"], data["noise_pan"])
    assert LATER.isdisjoint(find_recipe("sensor").as_data())


def test_fields_are_changed_by_their_flat_names():
    recipe = find_recipe("sensor").with_fields(name="x", tile=64, spectral=0.5, shift=(0.0, 1.0))
    assert ("x", 64, 0.5, (0.0, 1.0), 0.5) == (
        recipe.name,
        recipe.tile,
        recipe.spectral.spectral,
        recipe.geometry.shift,
        recipe.geometry.shift_chance,
    )
    with pytest.raises(ConfigError, match="no field 'sofness'"):
        recipe.with_fields(sofness=(0.1, 0.2))
    with pytest.raises(ConfigError, match="no field 'optics'"):
        recipe.with_fields(optics=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shift": (0.0, 5.0)}, r"shift must be a range \(low, high\) in 0 .. 4; got \(0.0, 5.0\)"),
        ({"zoom": (2.0, 1.0)}, "zoom must be a range"),
        ({"mtf_pan": (0.0, 0.5)}, r"mtf_pan must be a range inside \(0, 1\]"),
        ({"halo_chance": 1.5}, "halo_chance is a chance in 0..1; got 1.5"),
        ({"physical": -0.1}, "physical is a chance"),
        ({"bits": (17,)}, "bits must lie in 1..16"),
        ({"bits": ()}, "bits must lie in 1..16"),
        ({"decimation": ("nearest",)}, "decimation must name some of point, area, bicubic"),
        ({"tile": 63}, "tile must be a multiple of ratio 4"),
        ({"kernel": "paper", "ratio": 2}, "the paper's kernel decimates by 4"),
        ({"noise_pan": 1.5}, "noise_pan is a factor in 0..1; got 1.5"),
        ({"target": "scene"}, "the target `scene` needs physical=1 and the gaussian kernel"),
        ({"oversample": 0}, "oversample must be at least 1"),
    ],
)
def test_values_beyond_what_the_physics_holds_for_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        find_recipe("sensor").with_fields(**changes)

"""The fast engine against its slow reference, switch by switch."""

from dataclasses import replace

import numpy as np
import pytest

from simgen.config import Recipe
from simgen.physics.kernels import blur_kernel, defocused, stacked
from simgen.physics.mtf import observe_kernels, tap_count
from simgen.recipes import find_recipe
from simgen.sampling import sample_parameters
from simgen.simulate import numpy_engine, numpy_reference

PLAIN = Recipe(name="plain", tile=64).with_fields(
    pan_unexplained_chance=0.0, band_gain=(0.5, 0.5), softness=(0.3, 0.9)
)
# Each switch alone, always on.
SWITCHES = {
    "plain": {},
    "jitter": {"jitter_chance": 1.0, "brightness": (0.6, 1.5), "hue": (-90.0, 90.0)},
    "high-pass": {"high_pass_chance": 1.0, "high_pass": (0.5, 1.5)},
    "gamma": {"gamma": (1.2, 2.2)},
    "anisotropy": {"anisotropy": (0.2, 0.3)},
    "physical": {"physical": 1.0},
    "area": {"decimation": ("area",)},
    "bicubic": {"decimation": ("bicubic",), "physical": 1.0},
    "defocus": {"defocus_chance": 1.0, "defocus": (0.8, 1.5)},
    "halo": {"halo_chance": 1.0, "halo": (0.05, 0.1)},
    "shift": {"shift_chance": 1.0, "shift": (0.5, 2.0)},
    "local shift": {"local_shift_chance": 1.0, "local_shift": (0.3, 1.0)},
    "parallax": {"parallax_chance": 1.0, "parallax": (0.5, 1.0), "physical": 0.5},
    "moving": {"moving_chance": 1.0, "moving": (1.0, 6.0)},
    "shadow": {"shadow_chance": 1.0, "shadow": (0.1, 0.3), "material_chance": 0.5},
    "target": {"target": "scene", "physical": 1.0},
    "spectral": {"spectral": 1.0},
    "nir": {"nir": 1.0},
    "materials": {"material_chance": 1.0, "material": (0.5, 2.0), "pan_hidden_chance": 0.5},
    "pan sees": {"pan_sees": 1.0},
    "hidden": {"pan_hidden_chance": 1.0, "pan_hidden": (0.2, 0.5)},
    "texture": {"pan_unexplained_chance": 1.0, "pan_unexplained": (0.2, 0.3)},
    "guides": {"guides": 3, "mtf_pan": (0.2, 0.4), "read_noise": (0.001, 0.002)},
    "haze": {"haze_chance": 1.0, "haze": (0.3, 0.5)},
    "exposure": {"exposure_chance": 1.0, "exposure": (2.0, 3.0)},
    "noise": {"read_noise": (0.005, 0.01), "shot_noise": (1e-4, 2e-4), "noise_spread": 0.3},
    "pan noise": {"read_noise": (0.01, 0.01), "noise_pan": 0.1},
    "common": {"read_noise": (0.01, 0.01), "noise_common": (0.5, 0.5)},
    "grain": {"read_noise": (0.01, 0.01), "noise_grain": (0.3, 0.3)},
    "stripes": {"stripe_chance": 1.0, "stripe_offset": (0.01, 0.01), "stripe_gain": (0.02, 0.02)},
    "compression": {"compression_chance": 1.0, "compression": (0.005, 0.01), "bits": (8, 12)},
}  # fmt: skip


def photograph(seed, height=110, width=140):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3))
    fine = np.kron(coarse, np.ones((8, 8, 1)))[:height, :width]
    return np.clip(fine + rng.normal(0, 9, fine.shape), 0, 255).astype(np.uint8)


def agree(recipe, bands, key):
    draw = sample_parameters(recipe, bands=bands, seed=3, key=key, height=300, width=400)
    crop = photograph(3, *draw.resized)
    made, expected = (
        numpy_engine.make(crop, draw, recipe),
        numpy_reference.simulate(crop, draw, recipe),
    )
    # A block of JPEG may round a coefficient the other way: half a step, not one DN.
    most = max(1, draw.compression * 2**draw.bits)
    for image, other in zip(made, expected, strict=True):
        assert other.shape == image.shape
        difference = np.abs(other.astype(int) - image.astype(int))
        assert difference.max() <= most
        assert (difference > 0).mean() < 0.02
    return draw, made


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_does_what_the_reference_says(name):
    """Every pixel within one DN (float32 order of sums), nearly all equal."""
    for key in ("a", "b"):
        agree(PLAIN.with_fields(**SWITCHES[name]), 5, key)


@pytest.mark.parametrize("name", sorted(set(SWITCHES) - {"plain"}))
def test_a_switch_changes_something(name):
    """Off and on differ, so that no switch is for show."""
    made = []
    for recipe in (PLAIN, PLAIN.with_fields(**SWITCHES[name])):
        draw = sample_parameters(recipe, bands=5, seed=3, key="a", height=300, width=400)
        made.append(numpy_engine.make(photograph(3, *draw.resized), draw, recipe))

    assert any(not np.array_equal(on, off) for off, on in zip(*made, strict=True))


@pytest.mark.parametrize("ratio", [2, 3, 4, 5, 6])
def test_every_ratio(ratio):
    """All switches of `sensor` together, at each ratio."""
    recipe = replace(find_recipe("sensor"), tile=60, ratio=ratio)
    for key in range(4):
        agree(recipe, 4, str(key))


@pytest.mark.parametrize("fault", ["plain", "shift", "local shift", "parallax", "moving", "halo"])
def test_faults_of_the_inputs_alone(fault):
    """The target `scene`: with the fault, gt and PAN stay as they were; the reference agrees."""
    scene = PLAIN.with_fields(target="scene", physical=1.0)
    faulty = scene.with_fields(**(SWITCHES[fault] | {"physical": 1.0}))
    _, (gt, ms, pan) = agree(faulty, 5, "a")
    _, (gt_before, ms_before, pan_before) = agree(scene, 5, "a")

    np.testing.assert_array_equal(gt, gt_before)
    np.testing.assert_array_equal(pan, pan_before)
    assert np.array_equal(ms, ms_before) == (fault == "plain")


@pytest.mark.parametrize(
    ("name", "bands"),
    [("sensor", 1), ("sensor", 12), ("scene", 1), ("scene", 8), ("paper", 4), ("guides", 1)],
)
def test_every_recipe(name, bands):
    """From one band to twelve."""
    recipe = replace(find_recipe(name), tile=64)
    for key in range(3):
        agree(recipe, bands, str(key))


@pytest.mark.parametrize("channels", [3, 4, 13])
def test_floats_are_measured_or_photographed(channels):
    """Deep RGB goes through jitter and gamma as 8-bit photographs do; bands do not."""
    recipe = find_recipe("sensor").with_fields(tile=64, jitter_chance=1.0, gamma=(2.0, 2.0))
    draw = sample_parameters(
        recipe, bands=5, seed=0, key="a", height=300, width=300, channels=channels
    )
    crop = np.random.default_rng(0).random((*draw.resized, channels), dtype=np.float32)

    assert (2.0 if channels == 3 else 1.0) == draw.gamma
    for image, other in zip(
        numpy_engine.make(crop, draw, recipe),
        numpy_reference.simulate(crop, draw, recipe),
        strict=True,
    ):
        assert np.abs(image.astype(int) - other.astype(int)).max() <= 1


@pytest.mark.parametrize("step", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("size", [24, 120])
def test_banded_products_are_sliding_windows(step, size):
    """Blocks, folded rims, kernels wider than the image, terms that other bands lack."""
    image = np.random.default_rng(0).random((2, size, size)).astype(np.float32)
    kernel = blur_kernel(0.3, step, tap_count(0.1, step, 3), stretch=0.1, shift=(1.7, -2.2))
    kernels = stacked([kernel, defocused(kernel, 2.5)])

    seen = numpy_engine.observe_blocks(image, kernels, step=step)

    np.testing.assert_allclose(observe_kernels(image, kernels, step=step), seen, atol=2e-6)

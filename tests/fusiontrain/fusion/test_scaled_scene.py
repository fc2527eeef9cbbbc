"""Reflectance is fused as the same scene in DN is: units change nothing but the units."""

import numpy as np
import pytest
import rasterio
from PIL import Image

from fusiontrain.api import pansharpen
from fusiontrain.cli import main
from fusiontrain.imaging.dn_factor import dn_factor
from tests.support.geotiffs import write_pair
from tests.support.guided_scenes import lowered, sharp_bands


@pytest.fixture(scope="module")
def pair():
    """PAN (1, 128, 128) and four bands (4, 32, 32) of it, float32 DN up to some thousands."""
    bands = sharp_bands(4, 128).numpy()
    pan = bands.mean(0, keepdims=True)
    ms = bands.reshape(4, 32, 4, 32, 4).mean((2, 4))
    return pan.astype("float32"), ms.astype("float32")


@pytest.mark.parametrize(
    ("largest", "factor"),
    [
        *((0.0, 1), (16.0, 1), (255.0, 1), (2047.0, 1), (65535.0, 1), (2.0**20, 1)),
        *((15.9, 2**7), (1.0, 2**10), (0.3, 2**12), (1e-6, 2**30), (2.0**21, 2**-11)),
        (float("inf"), 1),
    ],
)
def test_a_factor_brings_values_to_the_size_of_dn(largest, factor):
    assert factor == dn_factor(largest)
    assert factor == 1 or 2**10 <= largest * factor < 2**11


@pytest.mark.parametrize("units", [1e-4, 1e-6, 1e4])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"weights": "default-sensor"},
        *({"method": name} for name in ("gsa", "sr-d", "tv", "bdsd-pc")),
    ],
    ids=str,
)
def test_units_change_nothing(pair, units, how):
    pan, ms = pair
    in_dn = pansharpen(pan, ms, **how)

    fused = pansharpen(pan * np.float32(units), ms * np.float32(units), **how)

    # SR-D chooses atoms: rounding may choose another here and there.
    assert np.sqrt(np.mean((fused / units - in_dn) ** 2)) < 2e-3 * in_dn.std()


def test_pan_and_ms_may_have_units_of_their_own(pair):
    pan, ms = pair
    in_dn = pansharpen(pan, ms)

    fused = pansharpen(pan, ms * np.float32(1e-4))

    assert np.abs(fused * 1e4 - in_dn).max() < 2e-3 * in_dn.std()


def test_guides_may_be_reflectance():
    bands = sharp_bands(5, 128)
    guides, ms = bands[:3].numpy(), lowered(bands[3:], 2).numpy()
    in_dn = pansharpen(guides, ms)

    fused = pansharpen(guides * np.float32(1e-4), ms * np.float32(1e-4), keep_guides=True)

    assert np.array_equal(guides * np.float32(1e-4), fused[:3])
    assert np.abs(fused[3:] * 1e4 - in_dn).max() < 5e-3 * in_dn.std()


def test_files_of_reflectance_are_fused_as_dn(pair, tmp_path):
    """With the same quicklook and, up to the units, the same pixels."""
    looks = []
    for name, units in (("dn", 1.0), ("reflectance", 1e-4)):
        folder = tmp_path / name
        folder.mkdir()
        scaled = (image * np.float32(units) for image in pair)
        pan, ms = write_pair(folder, *scaled, name="x", dtype="float32")[:2]
        out = folder / "out.tif"
        look = ["--quicklook", str(folder / "look.png")]
        assert 0 == main(["fuse", str(pan), str(ms), str(out), *look])
        with rasterio.open(out) as file:
            looks.append((file.read() / units, np.asarray(Image.open(folder / "look.png"))))

    (in_dn, first), (fused, second) = looks
    assert np.abs(fused - in_dn).max() < 2e-3 * in_dn.std()
    assert np.abs(first.astype(int) - second).max() <= 1

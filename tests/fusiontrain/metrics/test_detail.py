"""Sharpness and coloured detail: identities, scipy's filters, and the shared tool."""

import importlib.util

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi

from fusiontrain.errors import MetricError
from fusiontrain.metrics import coloured_detail, sharpness
from fusiontrain.metrics.detail import coloured_part, sharpness_and_coloured_detail
from tests.support.paths import SHARED

LOOK = SHARED / "tools/look.py"


def ground(seed=0, bands=4, side=96):
    """(C, H, W) bands that share most of their detail, and (1, H, W) PAN, a mix of them."""
    rng = np.random.default_rng(seed)
    shared = ndi.gaussian_filter(rng.normal(0, 1, (side, side)), 1.2) * 400
    own = ndi.gaussian_filter(rng.normal(0, 1, (bands, side, side)), (0, 3, 3)) * 300
    image = 900 + shared * rng.uniform(0.5, 1.5, (bands, 1, 1)) + own
    return image, image.mean(0, keepdims=True) * 1.3 - 40


def low(image, sigma):
    return ndi.gaussian_filter(image, sigma, mode="reflect")


def defined(image, pan, ratio):
    """Both numbers pixel by pixel as they are defined, with scipy's filters."""
    C = len(image)
    explain = np.stack([low(band, 0.8 * ratio).ravel() for band in image] + [np.ones(pan.size)], 1)
    weights, *_ = np.linalg.lstsq(explain, low(pan[0], 0.8 * ratio).ravel(), rcond=None)
    mixed = np.full(pan[0].shape, weights[-1])
    for c in range(C):
        mixed += weights[c] * image[c]
    finest = [picture - low(picture, 1.0) for picture in (mixed, pan[0])]
    detail = mixed - low(mixed, 0.55 * ratio)
    squares = []
    for band in image:
        own = band - low(band, 0.55 * ratio)
        multiple = low(own * detail, 3 * ratio) / low(detail**2, 3 * ratio)
        squares.append(np.mean((own - multiple * detail) ** 2) / np.var(low(band, 0.55 * ratio)))
    return np.std(finest[0]) / np.std(finest[1]), np.sqrt(np.mean(squares))


@pytest.mark.parametrize(("ratio", "bands"), [(4, 4), (2, 7), (4, 1)])
def test_both_are_what_they_are_defined_as(ratio, bands):
    image, pan = ground(bands, bands=bands)
    image = image + np.random.default_rng(5).normal(0, 8, image.shape)

    expected = defined(image, pan, ratio)

    assert float(sharpness(image, pan, ratio=ratio)) == pytest.approx(expected[0], rel=1e-3)
    assert float(coloured_detail(image, pan, ratio=ratio)) == pytest.approx(
        expected[1], rel=1e-3, abs=1e-6
    )


def test_both_are_the_shared_tools():
    """It samples every fifth pixel and repeats the edge: a percent."""
    if not LOOK.exists():
        pytest.skip(f"needs {LOOK}")
    spec = importlib.util.spec_from_file_location("look", LOOK)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    image, pan = ground(3, side=320)

    expected = tool.look(image, pan, 4)

    assert float(sharpness(image, pan, ratio=4)) == pytest.approx(expected["S"], rel=0.01)
    assert float(coloured_detail(image, pan, ratio=4)) == pytest.approx(expected["C"], rel=0.01)


def test_the_coloured_part_has_the_measured_spread():
    """Over each band's own at low frequencies, root mean square over bands."""
    image, pan = ground()

    part = coloured_part(torch.tensor(image), torch.tensor(pan), ratio=4).numpy()

    low_spread = np.stack([low(band, 0.55 * 4) for band in image]).std((1, 2))
    spread = np.sqrt((part**2).mean((1, 2))) / low_spread
    measured = coloured_detail(torch.tensor(image), torch.tensor(pan), ratio=4)
    assert np.sqrt((spread**2).mean()) == pytest.approx(float(measured), rel=1e-3)


def test_what_they_say_of_known_images():
    """PAN's own mix is as sharp as PAN; blurred it is not; grey detail has no colour."""
    image, pan = ground()
    grey = np.stack([low(band, 6) for band in image]) + (pan - low(pan, (0, 6, 6)))

    assert float(sharpness(image, pan, ratio=4)) == pytest.approx(1, abs=1e-6)
    blurred = np.stack([low(band, 1.5) for band in image])
    assert float(sharpness(blurred, pan, ratio=4)) < 0.4
    speckled = grey + np.random.default_rng(1).normal(0, 20, image.shape)
    plain, coloured = (float(coloured_detail(x, pan, ratio=4)) for x in (grey, speckled))
    assert plain < 0.2 * coloured
    scaled = float(coloured_detail(speckled * 3, pan, ratio=4))
    assert scaled == pytest.approx(coloured, rel=1e-6)  # of no unit


def test_garbage_where_there_is_no_data_moves_neither():
    image, pan = ground(side=160)
    valid = torch.ones(160, 160, dtype=torch.bool)
    valid[:20, :20] = False
    ruined, ruined_pan = image.copy(), pan.copy()
    ruined[:, :20, :20], ruined_pan[:, :20, :20] = 60000, np.nan

    for index in (sharpness, coloured_detail):
        expected = float(index(image, pan, ratio=4, valid=valid))
        computed = float(index(ruined, ruined_pan, ratio=4, valid=valid))
        assert computed == pytest.approx(expected, rel=0.02)
    with pytest.raises(MetricError, match="far enough from nodata"):
        sharpness(image, pan, ratio=4, valid=valid & (torch.arange(160) % 15 > 0))


@pytest.mark.parametrize("units", [10.0, 1e-4, 1e-8])
def test_units_change_neither_number(units):
    """Of smooth ground with one coloured spot, which leaves most of the image flat."""
    generator = torch.Generator().manual_seed(0)
    pan = torch.full((1, 96, 96), 500.0, dtype=torch.float64)
    pan[:, 30:60, 30:60] += 200 * torch.rand(1, 30, 30, generator=generator, dtype=torch.float64)
    fused = torch.cat([pan, 0.5 * pan, pan.flip(-1)])
    in_dn = sharpness_and_coloured_detail(fused, pan, ratio=4)

    scaled = sharpness_and_coloured_detail(fused * units, pan * units, ratio=4)

    assert [float(x) for x in in_dn] == pytest.approx([float(x) for x in scaled], rel=1e-4)

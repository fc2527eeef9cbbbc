"""A known roll of the MS is what message, tag, report and sensor model say, in that direction."""

import json
import re

import numpy as np
import pytest
import rasterio
import torch
from scipy.ndimage import gaussian_filter

from fusiontrain.cli import main
from fusiontrain.fusion.sensor_model import SensorModel, estimate_sensor_model
from fusiontrain.scenes.scene import Scene
from tests.support.geotiffs import write_pair

SIDE, RATIO = 256, 4
NUMBERS = r"([+-]\d\.\d\d) rows, ([+-]\d\.\d\d) columns of PAN pixels off the PAN"


def rolled_pair(*rolls):
    """PAN, and an MS of one band a roll: rolled so many PAN pixels down and right."""
    noise = np.random.default_rng(3).normal(size=(SIDE, SIDE))
    scales = [gaussian_filter(noise, sigma, mode="wrap") for sigma in (2, 4, 8, 16)]
    ground = 4000 + sum(100 * scale / scale.std() for scale in scales)
    bands = [
        gaussian_filter(np.roll(ground, roll, (0, 1)), 1.5, mode="wrap")
        .reshape(SIDE // RATIO, RATIO, SIDE // RATIO, RATIO)
        .mean((1, 3))
        for roll in rolls
    ]
    return ground[None], np.stack(bands)


@pytest.mark.parametrize("frame", ["pan", "ms"])
@pytest.mark.parametrize("roll", [(2, 1), (-3, 2)])
def test_the_roll_is_what_is_said(tmp_path, capsys, roll, frame):
    paths = write_pair(tmp_path, *rolled_pair(roll, roll, roll))
    out, report = tmp_path / "o.tif", tmp_path / "r.json"

    assert 0 == main(
        ["fuse", *paths, str(out), "--method", "gsa", "--frame", frame, "--json", str(report)]
    )

    with rasterio.open(out) as file:
        tags = file.tags()
    for text in (capsys.readouterr().out, tags["PANPRIOR_REGISTRATION"]):
        (numbers,) = re.findall(NUMBERS, text)
        assert roll == pytest.approx([*map(float, numbers)], abs=0.06)
    assert roll == pytest.approx(json.loads(report.read_text())["alignment"]["pan_shift"], abs=0.06)
    # The MS is moved back by what it lies off, the PAN to where the MS lies.
    name, back = ("MS", -1) if frame == "pan" else ("PAN", 1)
    (moved,) = re.findall(name + r" registered by (\S+), (\S+) ", tags["PANPRIOR_KNOWLEDGE"])
    assert [back * part for part in roll] == pytest.approx([*map(float, moved)], abs=0.06)


def test_python_says_the_roll_of_all_and_of_each_band():
    pan, ms = (torch.tensor(x).float() for x in rolled_pair((2, 1), (2, 1), (2, 2), (2, 1)))

    model = estimate_sensor_model(
        Scene(name="x", pan=pan, ms=ms), sensor=None, softness=0.9, band_shifts=True
    )

    assert model.band_displacements is not None
    total = np.array(model.band_displacements) + model.displacement
    np.testing.assert_allclose(total, [[2, 1], [2, 1], [2, 2], [2, 1]], atol=0.06)


def test_no_shift_is_said_without_a_sign():
    model = SensorModel(mtf=torch.ones(1), softness=torch.ones(1))

    assert (0.0, 0.0) == model.displacement
    assert "-" not in f"{model.displacement[0]:.1f}"


def test_gains_of_bands_that_agree_are_one_number():
    model = SensorModel(mtf=torch.tensor([0.331, 0.334]), softness=torch.tensor([0.3, 0.5]))

    assert "MTF 0.33, softness 0.30..0.50" == str(model)

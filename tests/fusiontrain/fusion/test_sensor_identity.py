"""The satellite of a scene, by tags and names."""

import pytest
import torch

from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.pan_of_guides import best_explained
from fusiontrain.fusion.sensor_identity import named_sensor, sensor_model_for
from fusiontrain.imaging.filters import degrade
from fusiontrain.scenes.guided_scene import GuidedArrays
from tests.support.guided_scenes import lowered, sharp_bands


@pytest.mark.parametrize(
    ("tags", "name", "sensor", "where"),
    [
        ({"SATELLITE": "QuickBird"}, "IKONOS_1", "QuickBird", "tag SATELLITE"),
        ({"AUTHOR": "QuickBird"}, "IKONOS_1", "IKONOS", "by its name"),
        ({"SENSOR_NOTE": "QuickBird " * 10}, "a", None, "by its name"),
        ({}, "test_wv3_multiExm1", "WorldView-3", "by its name"),
        ({}, "scene", None, "by its name"),
        ({"SPACECRAFT_NAME": "Sentinel-2A"}, "a", "Sentinel-2", "tag SPACECRAFT_NAME"),
        ({"PLATFORM": "sentinel-2c"}, "a", "Sentinel-2", "tag PLATFORM"),
        ({}, "T33TUG_20220125T100311_B05_20m", "Sentinel-2", "by its name"),
        ({}, "S2B_MSIL1C_20220125T100311_N0400_R122_T33TUG", "Sentinel-2", "by its name"),
    ],
)
def test_tags_of_a_sensor_go_before_the_file_name(tags, name, sensor, where):
    row, source = named_sensor(tags, name)

    assert (sensor, where) == (None if row is None else row.name, source)


def model_of(names, ratio=2, *, blind=True, softness=0.9, **options):
    bands = sharp_bands(4 + (2 if names is None else len(names)), 48 * ratio)
    scene = GuidedArrays(ms=lowered(bands[4:], ratio), guides=bands[:4])
    return sensor_model_for(
        best_explained(scene),
        FusionOptions(register=False, softness=softness, **options),
        blind=blind,
        beside_guides=names,
    )


@pytest.mark.parametrize(
    ("names", "ratio", "gains"),
    [  # of each band, as in test_sensors.py
        (("B11", "B05"), 2, (0.22, 0.38)),
        (("T33TUG_20220125T100311_B8A_20m", "x_B12_20m"), 2, (0.33, 0.23)),
        (("b1", "B09"), 6, (0.32, 0.26)),
    ],
)
def test_guides_blurred_by_the_rest_are_the_bands(names, ratio, gains):
    """Ground seen with the guides' MTF, then with the model's, is ground seen with the bands' own.

    In the middle of the image, to 3 % of the detail: Gaussians in series are one Gaussian.
    """
    model, source = model_of(names, ratio, sensor="Sentinel-2")
    fine = sharp_bands(len(names), 48 * ratio, seed=3)[:, : 48 * ratio, : 48 * ratio]
    ground = fine.repeat_interleave(4, 1).repeat_interleave(4, 2)  # four pixels to a guide's
    guides = degrade(ground[None], torch.full((1, len(names)), 0.26), 4)[0]

    through = degrade(guides[None], model.mtf[None], ratio)[0, :, 4:-4, 4:-4]
    at_once = degrade(ground[None], torch.tensor([gains]), 4 * ratio)[0, :, 4:-4, 4:-4]

    assert "published MTF of each band" in source
    assert model.sensor.name == "Sentinel-2"
    assert float((through - at_once).std()) < 0.03 * float(at_once.std())


def test_a_network_is_given_the_blur_beside_what_it_makes():
    """An image of softness .7 lacks part of the detail already: less blur is left."""
    by_method, _ = model_of(("B05", "B11"), sensor="Sentinel-2", softness=0.7)
    by_network, _ = model_of(("B05", "B11"), sensor="Sentinel-2", softness=0.7, blind=False)

    assert (by_network.mtf > by_method.mtf).all()


@pytest.mark.parametrize(
    ("names", "ratio", "expected"),
    [
        (("B04", "B05"), 2, "no name of a band says which it is; expected those at ratio 2: B05"),
        (("swir1", "swir2"), 2, "no name of a band says"),
        (("B05", "B06"), 3, "expected those at ratio 3: none"),
        (None, 2, "sensor Sentinel-2 (as asked) has no PAN: its MTF is not used"),
    ],
)
def test_bands_that_are_not_known_keep_the_estimate(names, ratio, expected):
    model, source = model_of(names, ratio, sensor="Sentinel-2")

    assert expected in source
    assert len({*model.mtf.tolist()}) == 1


def test_six_bands_without_names_are_those_of_20_m():
    model, _ = model_of(("",) * 6, sensor="Sentinel-2")
    named, _ = model_of(("B05", "B06", "B07", "B8A", "B11", "B12"), sensor="Sentinel-2")

    assert model.mtf.tolist() == named.mtf.tolist()

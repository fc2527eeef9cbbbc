"""`fusiontrain methods`, `models`, `sensors`: what there is, for eyes and for programs."""

import json
import re

import pytest

from fusiontrain.classical import METHODS, PLAIN, find_method_name
from fusiontrain.cli import main
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.pretrained_weights import NAMES, find_weights
from fusiontrain.models.registry import MODELS, build_model
from shards.sensors import SENSORS
from shards.wavelengths import WAVELENGTHS


def listed(capsys, command):
    """The table's lines without its head, and what --json prints."""
    assert main([command]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert main([command, "--json"]) == 0
    return lines, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("command", "names"), [("methods", PLAIN), ("models", MODELS), ("sensors", SENSORS)]
)
def test_a_row_for_each_by_name(capsys, command, names):
    lines, facts = listed(capsys, command)

    assert [*names] == [fact["name"] for fact in facts]
    assert [*names] == [re.split(r"\s{2,}", line)[0] for line in lines]


def test_methods_come_with_their_forms_and_papers(capsys):
    """The paper is the one that the formula's docstring names."""
    _, facts = listed(capsys, "methods")

    for fact in facts:
        method = PLAIN[fact["name"]]
        assert fact["soft"] is None or fact["soft"] in METHODS
        assert (fact["soft"] is None) == (fact["name"] == "EXP")
        assert find_method_name(fact["registered"].removesuffix(" registered")) == fact["name"]
        if fact["name"] != "EXP":  # interpolation
            author = fact["paper"].split()[0]
            year = re.search(r"\d{4}", fact["paper"])[0]
            assert author in method.formula.__doc__
            assert year in method.formula.__doc__


def test_models_say_which_weights_ship(capsys):
    lines, facts = listed(capsys, "models")
    weights = {name: fact["name"] for fact in facts for name in fact["weights"]}

    assert {name: load_checkpoint(find_weights(name))[1].model for name in NAMES} == weights
    gppnn = next(fact for fact in facts if fact["name"] == "gppnn")
    assert gppnn["parameters"] == sum(
        p.numel() for p in build_model("gppnn", **gppnn["sizes"]).parameters()
    )
    assert (gppnn["bands"], gppnn["weights"]) == (4, [])
    assert any(
        re.match(r"anyband-scene +cnn +96,245 +any +43,419 +default, default-open", s)
        for s in lines
    )


def test_sensors_come_with_wavelengths(capsys):
    """Landsat 8: USGS, Landsat 8 Data Users Handbook, table 2-1."""
    lines, facts = listed(capsys, "sensors")
    landsat = next(fact for fact in facts if fact["name"] == "Landsat-8")

    assert (landsat["ratio"], landsat["pan"]["nm"]) == (2, [503, 676])
    assert [band["nm"] for band in landsat["bands"]] == [
        [452, 512], [533, 590], [636, 673], [851, 879]
    ]  # fmt: skip
    assert any("coastal 400-450, blue 450-510" in line for line in lines)
    for name, ends in WAVELENGTHS.items():
        sensor = SENSORS[name]
        assert set(ends) == {*sensor.bands, *(() if sensor.ratios else ("pan",))}
        assert all(350 < low < high < 2500 for low, high in ends.values())
    assert set(SENSORS) - set(WAVELENGTHS) == {"generic"}


def test_a_sensor_without_a_pan_is_listed_with_its_ratios(capsys):
    """Sentinel-2: ESA, Sentinel-2 User Handbook: 10, 20 and 60 m."""
    lines, facts = listed(capsys, "sensors")
    fact = next(fact for fact in facts if fact["name"] == "Sentinel-2")

    metres = {band["name"]: 10 * band["ratio"] for band in fact["bands"]}
    assert {band for band, size in metres.items() if size == 10} == {"B02", "B03", "B04", "B08"}
    assert {band for band, size in metres.items() if size == 60} == {"B01", "B09"}
    assert fact["pan"]["nm"] is None
    (line,) = (line for line in lines if line.startswith("Sentinel-2"))
    assert " 2 6 " in line
    assert "pan" not in line

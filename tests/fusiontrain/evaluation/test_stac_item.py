"""mlm.json: the shipped weights as STAC Items, judged by the standard's own schema and packages."""

import json
from importlib.resources import files

import pytest

from fusiontrain.evaluation.stac_item import NAME, shipped_item
from fusiontrain.models.pretrained_weights import FOLDER, NAMES
from fusiontrain.models.registry import find_model
from shards.manifest import file_sha256


@pytest.fixture(params=NAMES)
def shipped(request):
    return request.param, json.loads((FOLDER / f"{request.param}.{NAME}").read_text())


def test_it_is_the_item_of_these_weights(shipped):
    """After other weights: python -m fusiontrain.evaluation.stac_item."""
    name, item = shipped

    assert item == shipped_item(name)
    asset = item["assets"]["model"]
    weights = FOLDER / asset["href"]
    assert asset["file:checksum"] == f"1220{file_sha256(weights)}"
    assert asset["file:size"] == weights.stat().st_size


def test_it_is_an_item_of_stac(shipped):
    """By the JSON schemas of the specification, as pystac packages them."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema (extra dev)")
    referencing = pytest.importorskip("referencing")
    folder = files("pystac") / "validation" / "jsonschemas"
    # Named by their files: the $id of common.json lacks a dot in pystac 1.15.
    places = {
        "stac-spec/v1.1.0": "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema",
        "geojson": "https://geojson.org/schema",
    }
    schemas = {
        f"{url}/{path.name}": json.loads(path.read_text())
        for part, url in places.items()
        for path in folder.joinpath(part).iterdir()
    }
    registry = referencing.Registry().with_resources(
        (url, referencing.Resource.from_contents(schema)) for url, schema in schemas.items()
    )
    item = next(schema for url, schema in schemas.items() if url.endswith("/item.json"))

    validator = jsonschema.Draft7Validator(item, registry=registry)

    assert [] == [error.message for error in validator.iter_errors(shipped[1])]
    assert [] != [*validator.iter_errors(shipped[1] | {"bbox": [1]})]


def test_pystac_reads_the_model_from_it(shipped):
    """Its MLM extension, version 1.4.0."""
    pystac = pytest.importorskip("pystac", reason="needs pystac, which rio-tiler installs")
    mlm = pytest.importorskip("pystac.extensions.mlm")
    name, raw = shipped

    item = pystac.Item.from_dict(raw)
    model = mlm.MLMExtension.ext(item)

    assert f"panprior-{name}" == model.mlm_name
    assert ["ms", "pan", "gains"] == [one.name for one in model.input]
    bands = find_model(raw["properties"]["mlm:architecture"])
    assert [-1, -1 if bands.any_band else 4, -1, -1] == model.input[0].input.shape
    assert [] == model.input[0].bands
    assert ["super-resolution"] == model.output[0].tasks


def test_stac_model_accepts_it(shipped):
    """The extension's own package: its pydantic models are what it validates by."""
    schema = pytest.importorskip("stac_model.schema", reason="needs stac-model (extra interop)")

    model = schema.MLModelProperties.model_validate(shipped[1]["properties"])

    assert 3 == len(model.input)
    with pytest.raises(ValueError, match="mlm:tasks"):
        schema.MLModelProperties.model_validate(shipped[1]["properties"] | {"mlm:tasks": ["x"]})

"""Weights as a STAC Item with the machine-learning model (MLM) extension, for catalogues.

`python -m fusiontrain.evaluation.stac_item` writes those of the shipped weights again.
"""

import json
from pathlib import Path
from typing import Any

from fusiontrain.models.checkpoints import SUFFIX, CheckpointInfo, load_checkpoint
from fusiontrain.models.pretrained_weights import FOLDER, NAMES
from fusiontrain.models.registry import find_model
from shards.atomic_write import whole_file
from shards.manifest import file_sha256

NAME = "mlm.json"
EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)
_BOX = (-180.0, -90.0, 180.0, 90.0)  # a network of simulated sensors: no place, no time
_TARGETS = {
    "scene": "the scene on the PAN's grid: crisp, bands in place, without the MS sensor's faults",
    "sensor": "what the MS sensor would see at the PAN's resolution",
}


def stac_item(
    weights: Path, info: CheckpointInfo, parameters: int, *, name: str, license_name: str = ""
) -> dict[str, Any]:
    """The Item of a checkpoint, whose asset is the file beside it.

    `license_name`: an SPDX identifier or "other"; empty: not stated.
    """
    west, south, east, north = _BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties: dict[str, Any] = {
        "title": f"panprior {info.model}: pansharpening",
        "description": f"Fuses PAN and MS of a satellite. Gives {_TARGETS[info.target]}.",
        "datetime": None,
        "start_datetime": "1900-01-01T00:00:00Z",
        "end_datetime": "9999-12-31T23:59:59Z",
        **_model(info, parameters, name),
    }
    if license_name:
        properties["license"] = license_name
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(_BOX),
        "properties": properties,
        "links": [],
        "assets": {
            "model": {
                "href": f"./{weights.name}",
                "title": "weights and what fusiontrain needs to rebuild the network",
                "type": "application/octet-stream; framework=pytorch; format=safetensors",
                "roles": ["mlm:model"],
                "mlm:artifact_type": "safetensors",
                "file:size": weights.stat().st_size,
                "file:checksum": f"1220{file_sha256(weights)}",  # a multihash of sha256
            }
        },
    }


def write_stac_item(path: Path, item: dict[str, Any]) -> None:
    """Sorted keys, so that equal items are equal bytes."""
    with whole_file(path) as file:
        file.write((json.dumps(item, indent=1, sort_keys=True) + "\n").encode())


def shipped_item(name: str) -> dict[str, Any]:
    """The Item of shipped weights."""
    path = FOLDER / f"{name}{SUFFIX}"
    net, info = load_checkpoint(path)
    parameters = sum(p.numel() for p in net.parameters())
    return stac_item(path, info, parameters, name=f"panprior-{name}", license_name="other")


def _model(info: CheckpointInfo, parameters: int, name: str) -> dict[str, Any]:
    entry = find_model(info.model)
    bands = -1 if entry.any_band else info.sizes["bands"]
    counted = "any number and order of bands" if entry.any_band else f"{bands} bands"
    recipe = info.training.get("recipe") or {}
    return {
        "mlm:name": name,
        "mlm:architecture": info.model,
        "mlm:framework": "PyTorch",
        "mlm:tasks": ["super-resolution"],
        "mlm:total_parameters": parameters,
        "mlm:pretrained": False,
        "mlm:pretrained_source": None,
        "mlm:accelerator": None,
        "mlm:hyperparameters": {**info.sizes, "recipe": recipe.get("name") or "not stated"},
        "mlm:input": [
            _image("ms", bands, f"Multispectral image, DN; {counted}."),
            _image("pan", 1, "Panchromatic image of the same ground, 1.5 to 8 times as fine, DN."),
            {
                "name": "gains",
                "bands": [],
                "description": "MTF gain at the MS Nyquist and softness, a pair for each band.",
                "input": {
                    "shape": [-1, 2, bands],
                    "dim_order": ["batch", "gain", "band"],
                    "data_type": "float32",
                },
            },
        ],
        "mlm:output": [
            {
                "name": "fused",
                "tasks": ["super-resolution"],
                "description": f"{_TARGETS[info.target].capitalize()}; bands and DN of the MS.",
                "result": _shape(bands),
            }
        ],
    }


def _image(name: str, bands: int, description: str) -> dict[str, Any]:
    # Empty `bands`: named ones would fix which sensor it is.
    return {"name": name, "bands": [], "description": description, "input": _shape(bands)}


def _shape(bands: int) -> dict[str, Any]:
    return {
        "shape": [-1, bands, -1, -1],
        "dim_order": ["batch", "band", "height", "width"],
        "data_type": "float32",
    }


if __name__ == "__main__":
    for shipped in NAMES:
        write_stac_item(FOLDER / f"{shipped}.{NAME}", shipped_item(shipped))

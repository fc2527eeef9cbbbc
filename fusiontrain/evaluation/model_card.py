"""Weights as a package: one safetensors file, and a model card that describes it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from fusiontrain.errors import CheckpointError, SceneError
from fusiontrain.evaluation.best_classical import (
    best_classical_baseline,
    comparison_grid,
    scene_by_scene,
)
from fusiontrain.evaluation.network_names import NETWORK
from fusiontrain.evaluation.stac_item import NAME as STAC
from fusiontrain.evaluation.stac_item import stac_item, write_stac_item
from fusiontrain.evaluation.tables import Row, as_markdown, kind_of, pipe_table
from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.models.registry import find_model
from shards.atomic_write import whole_file
from shards.manifest import file_sha256

ON_SCENES = (
    "Scene by scene: the network, and the best of all classical methods, plain or soft; bold where "
    "the network is better. HQNR at full resolution, the others by Wald's protocol."
)
WEIGHTS, CARD, CONFIG = "model.safetensors", "README.md", "config.json"


def write_package(
    folder: Path, net: nn.Module, info: CheckpointInfo, license_name: str, *sections: str
) -> None:
    """The four files of a model on a hub. `license_name` is the hub's word; empty: none.

    `sections` (Markdown) follow the facts of the checkpoint.

    Raises: CheckpointError if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(folder / WEIGHTS, net, info)
        config = {"library": "panprior", "model": info.model, "sizes": info.sizes}
        with whole_file(folder / CONFIG) as file:
            file.write(json.dumps(config, indent=1, sort_keys=True).encode() + b"\n")
        parameters = sum(p.numel() for p in net.parameters())
        item = stac_item(
            folder / WEIGHTS,
            info,
            parameters,
            name=f"panprior-{info.model}",
            license_name=license_name,
        )
        write_stac_item(folder / STAC, item)
        card = card_of(info, parameters, file_sha256(folder / WEIGHTS), license_name)
        card = "\n\n".join([card.rstrip(), *(text.strip() for text in sections)]) + "\n"
        with whole_file(folder / CARD) as file:
            file.write(card.encode())
    except OSError as error:
        raise CheckpointError(f"cannot write to {folder}: {error.strerror}") from error


def card_of(info: CheckpointInfo, parameters: int, digest: str, license_name: str) -> str:
    """Markdown with the hub's heading. Facts of the checkpoint only."""
    entry, training = find_model(info.model), info.training
    head = ["library_name: panprior", "pipeline_tag: image-to-image"]
    head += [f"license: {license_name}"] if license_name else []
    head += ["tags:", "- pansharpening", "- remote-sensing", "- image-fusion"]
    bands = "any number and order of bands" if entry.any_band else f"{info.sizes['bands']} bands"
    recipe = training.get("recipe") or {}
    rows = {
        "model": f"{info.model}: {entry.paper}",
        "sizes": ", ".join(f"{k} {v}" for k, v in info.sizes.items()),
        "parameters": f"{parameters:,}",
        "weights": training.get("weights", "last"),
        "recipe": f"{recipe.get('name') or 'not said'}, sha256 {recipe.get('sha256', 'not said')}",
        "training manifests": ", ".join(training.get("manifests", [])) or "not said",
        "steps": training.get("steps", "not said"),
        "seconds": training.get("seconds", "not said"),
        "loss at the end": training.get("loss", "not said"),
        "sha256 of model.safetensors": digest,
    }
    return "\n".join(
        [
            "---",
            *head,
            "---",
            f"# panprior {info.model}",
            "",
            f"Fuses a PAN and an MS image of a satellite, {bands}, by panprior.",
            "",
            "```sh",
            "fusiontrain fuse PAN.tif MS.tif OUT.tif --weights model.safetensors",
            "```",
            "",
            *_table(rows),
            *_figures(training),
            "",
        ]
    )


def on_scenes(rows: Sequence[Row], network: str = NETWORK) -> str:
    """A card's section: scores of a benchmark, beside the best classical method.

    Raises: SceneError if the rows are not of one network.
    """
    networks = {row.method for row in rows if not row.origin and kind_of(row.method) == "network"}
    if networks != {network}:
        raise SceneError(
            f"expected the rows of one network, {network!r}; got {sorted(networks)}: benchmark it "
            "alone (`weights`)"
        )
    baseline = best_classical_baseline(rows)
    return "\n\n".join(
        [
            "## On scenes it has never seen",
            *([as_markdown(comparison_grid(baseline)).rstrip()] if baseline else []),
            ON_SCENES,
            scene_by_scene(rows, network),
        ]
    )


def _figures(training: dict[str, Any]) -> list[str]:
    figures = training.get("validation")
    if not figures:
        return ["", "No figure was measured while training."]
    what = ["", "## Measured while training", ""]
    if best := training.get("best"):
        what += [f"The best weights go by {best['by']}, at step {best['step']}.", ""]
    return [*what, *_table({name: f"{value:.6g}" for name, value in figures.items()})]


def _table(rows: dict[str, Any]) -> list[str]:
    lines = [[name, str(value)] for name, value in rows.items()]
    return [pipe_table(["what", ""], lines)]

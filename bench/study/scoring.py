"""Cases of Wald's protocol and crops of held builds, and a network's indices on them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.study.runs import HELD, Figures
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.loaded_scenes import SceneLoader, mean_softness
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.evaluation.score_image import BORDER
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.metrics import ergas, q2n, sam
from fusiontrain.scenes.discovery import SceneEntry, find_scenes

HELD_CROPS = 24
Crop = tuple[str, PanBatch, Tensor]  # name, inputs, truth


def read_cases(paths: Sequence[Path]) -> list[Case]:
    """Every scene that Wald's protocol can score; the others are named on standard error."""
    entries = find_scenes(paths) if paths else []
    softness = softness_of_sensors(entries)
    cases = []
    for entry in entries:
        try:
            cases.append(reduced_case(entry, softness))
        except SceneError as error:
            print(f"left out: {error}", file=sys.stderr)
    return cases


def softness_of_sensors(entries: Sequence[SceneEntry]) -> dict[str, float]:
    """Sensor -> mean softness estimated on its scenes that have no truth of their own.

    Reduced data get this, as in `fusiontrain benchmark`: their own pair no longer shows it.
    """
    loader, scenes = SceneLoader(), []
    for entry in entries:
        try:
            scenes.append(loader.load(entry))
        except SceneError:
            continue  # named when it is scored
    return mean_softness(scenes)


def reduced_case(entry: SceneEntry, softness: Mapping[str, float]) -> Case:
    """Wald's protocol. Raises: SceneError."""
    scene = entry.load()
    return reduced(scene, softness=None if scene.gt is None else softness.get(scene.sensor.name))


def read_crops(folder: Path, side: int) -> list[Crop]:
    """Crops of a held build, spread over it."""
    data = IndexedShards([ShardSet(folder=folder)], batch=1, crop=side, seed=0)
    drawn = [data[k] for k in range(HELD_CROPS)]
    return [(f"{folder.name} {k}", batch.inputs, batch.truth) for k, batch in enumerate(drawn)]


@torch.inference_mode()
def figures(
    net: nn.Module, cases: Sequence[Case], crops: Sequence[Crop] = (), *, registered: bool = True
) -> Figures:
    """Indices of a network on every case and crop; PAN registered to the MS or as it came."""
    rows = {}
    if not registered:
        cases = [replace(c, sensor_model=replace(c.sensor_model, shift=NO_SHIFT)) for c in cases]
    for case in cases:
        rows[case.name] = indices(net, case.registered, case.truth, case.scene.valid)
    for name, inputs, truth in crops:
        rows[f"{HELD}{name}"] = indices(net, inputs, truth[0], None)
    return rows


def indices(
    net: nn.Module, inputs: PanBatch, truth: Tensor | None, valid: Tensor | None
) -> dict[str, float]:
    """ERGAS, SAM and Q2n within the border. Shapes: truth (C, H, W), valid (H, W)."""
    assert truth is not None
    inner = slice(BORDER, -BORDER)
    fused, truth = net(inputs)[0][:, inner, inner], truth[:, inner, inner]
    valid = None if valid is None else valid[inner, inner]
    return {
        "ERGAS": float(ergas(truth, fused, ratio=inputs.ratio, valid=valid)),
        "SAM": float(sam(truth, fused, valid=valid)),
        "Q2n": float(q2n(truth, fused, valid=valid)),
    }

"""A part of the study: what known truth allows, by two measurements that use the truth.

Colour: the network's coloured detail (metrics/detail.py) times a factor. Were too little of it
kept, more of it would lie nearer to the truth.
Tuned: the network tuned on the left half of each scene, where it is given the truth, and scored
on both halves before and after. No training elsewhere can come nearer to a scene.
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from statistics import geometric_mean
from typing import Any

import torch
from torch import Tensor, nn

from bench.study.runs import save
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.protocols import known as known_case
from fusiontrain.evaluation.protocols import model_of_fuse
from fusiontrain.evaluation.score_image import score_image
from fusiontrain.evaluation.tables import pipe_table
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.metrics.detail import coloured_part
from fusiontrain.metrics.spectral import ergas
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import fit
from fusiontrain.training.one_shot import crops_of
from shards.errors import PanpriorError

FACTORS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
COLUMNS = ("ERGAS", "SAM", "dE", "C/truth")
STEPS = 200
BORDER = 16  # PAN pixels left out at borders and on both sides of the cut
TUNING = TrainConfig(
    batch_size=6, crop=96, learning_rate=5e-4, warmup_steps=0, final_rate=0.01, weight_decay=0.0
)


def known_limits(args: argparse.Namespace) -> str:
    """Both tables."""
    folder = args.work / "known-limits"
    folder.mkdir(parents=True, exist_ok=True)
    net, info = load_checkpoint(args.weights)
    config = replace(TUNING, max_steps=args.steps or STEPS)
    for entry in [] if args.table else find_scenes(args.scenes):
        path = folder / f"{entry.name}.json"
        if path.exists() or (args.only and entry.name not in args.only):
            continue
        case = known_case(entry.load())
        case = placed(replace(case, sensor_model=model_of_fuse(case.scene, info.target, case.pair)))
        save(path, {"colour": _colour(net, case), "tuned": _tuned(net, case, config)})
        print(f"known-limits: {entry.name}", flush=True)
    kept: dict[str, Any] = {
        path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))
    }
    if not kept:
        raise PanpriorError("this part uses scenes of `simgen known`: give --scenes")
    return f"{_colour_table(kept)}\n\n{_tuned_table(kept)}"


def placed(case: Case) -> Case:
    """The case with its MS moved to PAN for good, so that it can be cut."""
    batch, model = case.registered, case.registered_model
    model = replace(model, shift=NO_SHIFT, band_shifts=None, local_shift=None, frame="ms")
    return replace(
        case, scene=replace(case.scene, ms=batch.ms[0], pan=batch.pan[0]), sensor_model=model
    )


def left_of(case: Case, columns: int) -> Case:
    """The first columns, MS pixels."""
    fine, truth = columns * case.scene.ratio, case.truth
    assert truth is not None
    scene = replace(
        case.scene, ms=case.scene.ms[..., :columns], pan=case.scene.pan[..., :fine], valid=None
    )
    return replace(case, scene=scene, truth=truth[..., :fine])


@torch.inference_mode()
def _colour(net: nn.Module, case: Case) -> dict[str, list[float]]:
    """Indices over those of the factor 1, by factor; C over the truth's."""
    fused = _fused(net, case.registered)
    part = coloured_part(fused, case.scene.pan.float(), ratio=case.scene.ratio)
    scores = {f: score_image(case, fused + (f - 1) * part) for f in FACTORS}
    return {
        f"{f:g}": [*(score[c] / scores[1.0][c] for c in COLUMNS[:-1]), score[COLUMNS[-1]]]
        for f, score in scores.items()
    }


def _tuned(net: nn.Module, case: Case, config: TrainConfig) -> list[float]:
    """ERGAS after over before: on the half that it was tuned on, and on the other."""
    half = case.scene.shape[1] // 2
    tuned = copy.deepcopy(net).train()
    with torch.enable_grad():
        fit(tuned, crops_of(left_of(case, half), config), config, loss=squared)
    before, after = (_halves(one.eval(), case, half) for one in (net, tuned))
    return [b / a for a, b in zip(before, after, strict=True)]


def squared(fused: Tensor, truth: Tensor, batch: PanBatch) -> Tensor:
    """What ERGAS is the root of, but for a factor; (B, C, H, W) -> ()."""
    return ((fused - truth) / batch.ms.mean((-2, -1), keepdim=True)).square().mean()


@torch.inference_mode()
def _halves(net: nn.Module, case: Case, half: int) -> Sequence[float]:
    fused, truth, cut = _fused(net, case.registered), case.truth, half * case.scene.ratio
    assert truth is not None
    rows = slice(BORDER, -BORDER)
    sides = (slice(BORDER, cut - BORDER), slice(cut + BORDER, -BORDER))
    return [
        float(ergas(truth[:, rows, x], fused[:, rows, x], ratio=case.scene.ratio)) for x in sides
    ]


def _fused(net: nn.Module, batch: PanBatch) -> Tensor:
    fused: Tensor = net(batch)[0]
    return fused


def _colour_table(kept: dict[str, Any]) -> str:
    rows = []
    for factor in FACTORS:
        found = [one["colour"][f"{factor:g}"] for one in kept.values()]
        rows.append(
            [f"{factor:g}", *(f"{geometric_mean(x):.3f}" for x in zip(*found, strict=True))]
        )
    heads = ["coloured detail times", *(f"{c}, of that of 1" for c in COLUMNS[:-1]), COLUMNS[-1]]
    return pipe_table(heads, rows)


def _tuned_table(kept: dict[str, Any]) -> str:
    rows = [[name, *(f"{x:.3f}" for x in one["tuned"])] for name, one in kept.items()]
    means = [geometric_mean(x) for x in zip(*(one["tuned"] for one in kept.values()), strict=True)]
    rows.append(["mean", *(f"{x:.3f}" for x in means)])
    return pipe_table(["scene", "ERGAS after / before, the half tuned on", "the other"], rows)

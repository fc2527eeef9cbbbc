"""A part of the study: the worst tiles of each scene, with pictures, and what is special there.

One level down by Wald's protocol. --work/failures/SCENE.webp is the scene's worst tile: MS
interpolated, fused, truth, and the error in the colours of the benchmark's maps.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL.Image import Resampling
from torch import nn

from bench.study.runs import save
from bench.study.scoring import read_cases
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.rendering import beside, colour_picture, error_picture, stretch_of
from fusiontrain.evaluation.score_image import BLOCK
from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.tiling import Box
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import build_model

TILE = 4 * BLOCK  # PAN pixels a side
WORST = 3  # tiles of a scene
SCALE, NEAREST = 2, Resampling.NEAREST  # of pictures


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A square of a scene: error of the network over its start's, the injection's, there."""

    scene: str
    row: int
    column: int
    ratio: float  # of root mean square errors in the bands' spreads
    detail: float  # spread of PAN's fine detail over the scene's
    explained: float  # correlation of PAN, seen as MS, with the mean of the bands


def failures(args: argparse.Namespace) -> str:
    """Where the network is worst against what it starts from, and what is special there."""
    path = args.work / "failures.json"
    if not path.exists() and not args.table:
        net, info = load_checkpoint(args.weights)
        start = build_model(info.model, **info.sizes)
        tiles = []
        for case in read_cases(args.scenes):
            own = _tiles(case, net, start)
            tiles += own
            _draw(args.work / "failures" / f"{case.name}.webp", case, net, max(own, key=_badness))
        save(path, {"tiles": [{k: getattr(t, k) for k in Tile.__slots__} for t in tiles]})
    tiles = [Tile(**one) for one in json.loads(path.read_text())["tiles"]]
    lines = [
        "| scene | row, column | error over the start's | detail | PAN explained |",
        "|---|---|---|---|---|",
    ]
    for scene in dict.fromkeys(tile.scene for tile in tiles):
        worst = sorted((t for t in tiles if t.scene == scene), key=_badness, reverse=True)
        lines += [
            f"| {t.scene} | {t.row}, {t.column} | {t.ratio:.3f} | {t.detail:.2f} "
            f"| {t.explained:.2f} |"
            for t in worst[:WORST]
        ]
    return "\n".join(lines)


@torch.inference_mode()
def _tiles(case: Case, net: nn.Module, start: nn.Module) -> list[Tile]:
    batch, truth = case.registered, case.truth
    assert truth is not None
    spread = truth.std((-2, -1), keepdim=True).clamp_min(1e-6)
    errors = [((model(batch)[0] - truth) / spread).square().mean(0) for model in (net, start)]
    pan, low = batch.pan[0, 0], upsample(batch.ms, batch.ratio)[0].mean(0)
    fine = pan - upsample(torch.nn.functional.avg_pool2d(batch.pan, batch.ratio), batch.ratio)[0, 0]
    side = min(TILE, *truth.shape[1:])
    tiles = []
    for row in range(0, truth.shape[1] - side + 1, side):
        for column in range(0, truth.shape[2] - side + 1, side):
            here = (slice(row, row + side), slice(column, column + side))
            error, start_error = (float(e[here].mean().sqrt()) for e in errors)
            both = torch.stack([pan[here].flatten(), low[here].flatten()])
            tiles.append(
                Tile(
                    scene=case.name,
                    row=row,
                    column=column,
                    ratio=error / max(start_error, 1e-9),
                    detail=float(fine[here].std() / fine.std().clamp_min(1e-9)),
                    explained=float(torch.nan_to_num(torch.corrcoef(both)[0, 1])),
                )
            )
    return tiles


def _badness(tile: Tile) -> float:
    return tile.ratio


@torch.inference_mode()
def _draw(path: Path, case: Case, net: nn.Module, tile: Tile) -> None:
    """MS, fused and truth in one stretch, and the error in the ramp's colours."""
    truth = case.truth
    assert truth is not None
    side = min(TILE, *truth.shape[1:])
    box = Box(top=tile.row, left=tile.column, bottom=tile.row + side, right=tile.column + side)
    fused, low = net(case.registered)[0], upsample(case.batch.ms, case.batch.ratio)[0]
    stretch = stretch_of(truth)
    here = (..., slice(box.top, box.bottom), slice(box.left, box.right))
    pictures = [colour_picture(image[here], stretch) for image in (low, fused, truth)]
    pictures.append(error_picture(truth, fused, box))
    path.parent.mkdir(parents=True, exist_ok=True)
    larger = [one.resize((SCALE * side, SCALE * side), NEAREST) for one in pictures]
    beside(larger).save(path, quality=80, method=6)

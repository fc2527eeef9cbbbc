"""A part of the study: what falls short on scenes of known truth, in pictures.

Scenes are scored first, as the part `known` does. Of those where the network's ERGAS over the best
classical method's is highest, the square where its error is highest beside that method's:
--work/known/failures/SCENE.webp shows truth, network and that method in one stretch, and below
the MS and both errors, dark to bright. Only pictures of scenes whose licence lets their pixels be
shown may be given away.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from bench.study.known import Figures, scored
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import NETWORK, REGISTERED, classical, load_networks
from fusiontrain.evaluation.protocols import known as known_case
from fusiontrain.evaluation.rendering import beside, colour_picture, error_picture, stretch_of
from fusiontrain.evaluation.tables import pipe_table
from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.discovery import SceneEntry
from shards.errors import PanpriorError

WORST = 3  # scenes
SIDE, STEP = 64, 16  # PAN pixels of a square, and from one square to the next
SCALE = 4  # picture pixels a PAN pixel
QUALITY = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """A scene and its best classical method in ERGAS."""

    scene: str
    rival: str
    ratio: float  # ERGAS of the network over the rival's


def known_failures(args: argparse.Namespace) -> str:
    """The worst scenes, with the square that each picture shows."""
    entries, kept, others = scored(args)
    by_name = {entry.name: entry for entry in entries}
    lines = []
    for worst in shortfalls(kept, others, args.only or list(kept))[:WORST]:
        if worst.scene in by_name:
            path = args.work / "known" / "failures" / f"{worst.scene}.webp"
            corner, ratio = _draw(path, by_name[worst.scene], args.weights, worst.rival)
            where, there = f"{corner[0]}, {corner[1]}", f"{ratio:.2f}"
        else:
            where, there = "not drawn", "-"
        lines.append([worst.scene, worst.rival, f"{worst.ratio:.3f}", where, there])
    return pipe_table(
        ["scene", "best classical", "ERGAS / its", "row, column", "error / its, there"], lines
    )


def shortfalls(
    kept: dict[str, Figures], others: dict[str, Figures], names: list[str]
) -> list[Shortfall]:
    """Scenes of those names, the worst first. Raises: PanpriorError naming one without figures."""
    if missing := [name for name in names if name not in kept]:
        raise PanpriorError(f"no scene {missing[0]} was scored; have: {', '.join(kept)}")
    found = []
    for name in names:
        rival = min(others[name], key=lambda method: others[name][method]["ERGAS"])
        ratio = kept[name][NETWORK]["ERGAS"] / others[name][rival]["ERGAS"]
        found.append(Shortfall(scene=name, rival=rival, ratio=ratio))
    return sorted(found, key=lambda one: one.ratio, reverse=True)


def worst_square(own: Tensor, rival: Tensor) -> tuple[tuple[int, int], float]:
    """Row and column of the square where the root mean square of `own` over `rival`'s is highest.

    Shapes: (H, W) squared errors, the same for both.
    """
    side = min(SIDE, *own.shape)
    means = [
        torch.nn.functional.avg_pool2d(error[None, None], side, STEP)[0, 0].sqrt()
        for error in (own, rival)
    ]
    ratios = means[0] / means[1].clamp_min(1e-9)
    row, column = divmod(int(ratios.argmax()), ratios.shape[1])
    return (row * STEP, column * STEP), float(ratios[row, column])


@torch.inference_mode()
def _draw(
    path: Path, entry: SceneEntry, weights: Path, rival: str
) -> tuple[tuple[int, int], float]:
    case = known_case(entry.load())
    (contender,) = load_networks([weights])
    (other,) = classical([rival.removesuffix(REGISTERED)], registered=rival.endswith(REGISTERED))
    images = [one for one in (contender.fuse(case), other.fuse(case)) if one is not None]
    truth = case.truth
    assert truth is not None
    assert len(images) == 2
    spread = truth.std((-2, -1), keepdim=True).clamp_min(1e-6)
    own, its = (((image - truth) / spread).square().mean(0) for image in images)
    corner, ratio = worst_square(own, its)
    path.parent.mkdir(parents=True, exist_ok=True)
    _picture(case, images, corner).save(path, quality=QUALITY, method=6)
    return corner, ratio


def _picture(case: Case, images: list[Tensor], corner: tuple[int, int]) -> Image.Image:
    """Above: truth, network, classical method. Below: the MS, and the errors of both."""
    truth = case.truth
    assert truth is not None
    side = min(SIDE, *truth.shape[1:])
    box = Box(top=corner[0], left=corner[1], bottom=corner[0] + side, right=corner[1] + side)
    here = (..., slice(box.top, box.bottom), slice(box.left, box.right))
    stretch = stretch_of(truth)
    colours = [colour_picture(image[here], stretch) for image in (truth, *images)]
    batch = case.batch
    low = upsample(batch.ms, batch.ratio, batch.phase)[0]
    errors = [error_picture(truth, image, box) for image in images]
    rows = [colours, [colour_picture(low[here], stretch), *errors]]
    size = (SCALE * side, SCALE * side)
    drawn = [beside([one.resize(size, Image.Resampling.NEAREST) for one in row]) for row in rows]
    whole = Image.new("RGB", (drawn[0].width, 2 * drawn[0].height))
    for place, row in enumerate(drawn):
        whole.paste(row, (0, place * row.height))
    return whole

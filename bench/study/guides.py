"""Several sharp bands, one level down: classical methods on synthesis and selection, and `fuse`.

    python -m bench.study guides --scenes ../shared/data/sentinel2 ../shared/data/real
    python -m bench.study guides        # simulated: WorldView-3's SWIR, a hyperspectral cube

Of a Sentinel-2 chip (X_10m.tif, X_20m.tif, X_60m.tif) the bands of 20 and of 60 m are the truth;
of an MS of six bands and more (X_ms.tif) those that are neither blue, green, red nor near infrared.
They are lowered by their MTF, guides by theirs; every method is given the MTF of the bands, as in
Wald's protocol, and each scene's best classical method counts, index by index.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.study.guided_cases import GuidedCase, real_cases, simulated_cases
from fusiontrain.api import pansharpen
from fusiontrain.classical import PLAIN
from fusiontrain.errors import SceneError
from fusiontrain.fusion.guided_fuser import AS_GUIDES
from fusiontrain.fusion.level_down import estimate_correction
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.memory_plan import make_plan
from fusiontrain.fusion.network_fuser import NetworkFuser
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.pan_of_guides import PanOfGuides, with_pan_per_band
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import assemble
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.imaging.tiling import Box
from fusiontrain.metrics import ergas, q2n, sam
from fusiontrain.scenes.guided_scene import GuidedArrays

_MOST_COLUMNS = 8  # bands whose RMSE is printed one by one


def guides(args: argparse.Namespace) -> str:
    """A table a scene: ERGAS, SAM, Q2n and the RMSE of each band."""
    tables = []
    simulated = () if args.scenes else simulated_cases(args.seeds[0])
    for case in chain(simulated, *(real_cases(folder) for folder in args.scenes)):
        rows = list(_rows(case, args.only))
        tables.append(_table(case, rows))
    if not tables:
        raise SceneError("no X_10m.tif with X_20m.tif, and no X_ms.tif of 6 to 8 bands, is there")
    return "\n\n".join(tables)


def _rows(case: GuidedCase, only: list[str]) -> Iterator[tuple[str, Tensor]]:
    """(Name, fused (C, H, W)) of every method."""
    size = case.truth.shape[1:]
    yield "bicubic", F.interpolate(case.ms[None], size=size, mode="bicubic")[0]
    local = _with_pan(case)
    pans = {
        "synthesis": local.fit.pan(case.guides),
        "selection": _selected(case),
        "local synthesis": local.read(_whole(case)).pan,
    }
    for kind, pan in pans.items():
        for name, method in PLAIN.items():
            if name != "EXP" and (not only or name in only):
                yield f"{name}, {kind}", method.fuse(_batch(case, pan))[0].float()
    for weights in ("default-sensor", "small", "default"):
        if not only or weights in only:
            yield f"`{weights}`", _network(case, local, weights)
    if not only:
        fused = pansharpen(case.guides.numpy(), case.ms.numpy(), weights="default-sensor")
        yield "`default-sensor`, MTF estimated", torch.from_numpy(fused)


def _whole(case: GuidedCase) -> Box:
    h, w = case.ms.shape[1:]
    return Box(top=0, left=0, bottom=h, right=w)


def _with_pan(case: GuidedCase) -> PanOfGuides:
    return with_pan_per_band(GuidedArrays(ms=case.ms, guides=case.guides), case.mtf, NO_SHIFT)


def _selected(case: GuidedCase) -> Tensor:
    """(C, H, W): of each band the guide that correlates best with it at its own scale."""
    low = degrade(case.guides[None], torch.full((1, len(case.guides)), float(case.mtf.mean())),
                  case.ratio)[0].flatten(1)  # fmt: skip
    found = torch.corrcoef(torch.cat([case.ms.flatten(1), low]))
    best = found[: len(case.ms), len(case.ms) :].abs().argmax(1)
    return case.guides[best]


def _batch(case: GuidedCase, pan: Tensor) -> PanBatch:
    softness = torch.full((1, len(case.ms)), AS_GUIDES)
    return PanBatch(ms=case.ms[None], pan=pan[None], ratio=case.ratio, mtf=case.mtf[None],
                    softness=softness)  # fmt: skip


def _network(case: GuidedCase, scene: PanOfGuides, weights: str) -> Tensor:
    """As `fuse --guide` does it, with the MTF given."""
    fuser = make_fuser(FusionOptions(weights=Path(weights)))
    assert isinstance(fuser, NetworkFuser)
    softness = torch.full_like(case.mtf, AS_GUIDES)
    model = SensorModel(mtf=case.mtf, softness=softness)
    if fuser.target == "sensor":
        found = estimate_correction(
            scene, fuser, model, mtf=case.mtf, guide_gain=case.guide_gain, memory=4.0
        )
        fuser = replace(fuser, correction=found)
    return assemble(scene, fuser.fuse(scene, model, make_plan(scene, fuser, memory=4.0)))


def _table(case: GuidedCase, rows: list[tuple[str, Tensor]]) -> str:
    """Markdown; the last lines compare the first network with the best classical methods."""
    lines = [
        f"{case.name}: {len(case.ms)} bands, ratio {case.ratio}",
        "",
        "| method | ERGAS | SAM | Q2n | RMSE of each band, DN |",
        "|---|---|---|---|---|",
    ]
    scores = {}
    for name, fused in rows:
        own = (
            float(ergas(case.truth, fused, ratio=case.ratio)),
            float(sam(case.truth, fused)),
            float(q2n(case.truth, fused)),
        )
        scores[name] = own
        rmse = (fused - case.truth).square().mean((1, 2)).sqrt().tolist()
        each = " ".join(f"{value:.1f}" for value in rmse[:_MOST_COLUMNS])
        each += f" ... mean {np.mean(rmse):.1f}" if len(rmse) > _MOST_COLUMNS else ""
        lines.append(f"| {name} | {own[0]:.3f} | {own[1]:.3f} | {own[2]:.4f} | {each} |")
    lines += ["", *_compared(scores)]
    return "\n".join(lines)


def _compared(scores: dict[str, tuple[float, float, float]]) -> Iterator[str]:
    """The shipped network over the best classical method, index by index."""
    ours = scores.get("`default-sensor`")
    whole = [v for name, v in scores.items() if name.endswith((", synthesis", ", selection"))]
    every = whole + [v for name, v in scores.items() if name.endswith(", local synthesis")]
    for field, which in ((whole, "by synthesis or selection"), (every, "of all")):
        if ours and field:
            best = np.array(field)
            over = [f"{ours[i] / best[:, i].min():.3f}" for i in (0, 1)]
            gain = f"{ours[2] - best[:, 2].max():+.4f}"
            said = f"ERGAS {over[0]}, SAM {over[1]}, Q2n {gain}"
            yield f"`default-sensor` over the best {which}: {said}"

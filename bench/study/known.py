"""A part of the study: known truth, the ground itself at full resolution.

Each scene of `simgen known` (or each image of --photos, made into scenes first) as `benchmark
--protocol known --registered` scores it: the network over the best classical method of each
index, over three methods by name, and with the MTF given in place of the estimated one, true and
.85 and 1.15 of the true.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from bench.study.runs import save
from fusiontrain.classical import METHODS
from fusiontrain.evaluation.best_classical import (
    ALL,
    DIFFERENCES,
    RATIOS,
    best_classical_baseline,
    comparison_grid,
    scene_by_scene,
)
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import (
    NETWORK,
    NetworkContender,
    classical,
    load_networks,
    network,
    score,
)
from fusiontrain.evaluation.protocols import known as known_case
from fusiontrain.evaluation.protocols import model_of_fuse
from fusiontrain.evaluation.score_image import INDICES, score_image
from fusiontrain.evaluation.tables import Row, as_markdown, pipe_table
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from shards.errors import PanpriorError
from shards.manifest import file_sha256
from simgen.cli import main as simgen

FACTORS = (0.85, 1.0, 1.15)  # of the true MTF
NAMED = ("GSA", "BT-H", "SR-D")
AT_ONCE = ("ERGAS", "SAM", "Q2n", "SSIM")
Figures = dict[str, dict[str, float]]  # method -> index -> value


def known(args: argparse.Namespace) -> str:
    """Every table."""
    _, kept, others = scored(args)
    return _tables(kept, others)


def scored(
    args: argparse.Namespace,
) -> tuple[list[SceneEntry], dict[str, Figures], dict[str, Figures]]:
    """The scenes, and figures of the network and of the classical methods by scene.

    Raises: PanpriorError where there are none.
    """
    folder = args.work / "known"
    entries = [] if args.table else find_scenes(args.scenes or [_made(args, folder)])
    rivals = folder / "classical"
    own = folder / f"{args.weights.stem}-{file_sha256(args.weights)[:12]}"
    for place in (rivals, own):
        place.mkdir(parents=True, exist_ok=True)
    (contender,) = load_networks([args.weights])
    for entry in entries:
        paths = [place / f"{entry.name}.json" for place in (rivals, own)]
        if all(path.exists() for path in paths) or (args.only and entry.name not in args.only):
            continue
        case = known_case(entry.load())
        if not paths[0].exists():
            save(paths[0], _classical(case))
        save(paths[1], _network(case, entry, contender, args.weights))
        print(f"known: {entry.name}", flush=True)
    kept = {path.stem: _read(path) for path in sorted(own.glob("*.json"))}
    if not kept:
        raise PanpriorError(f"no scene was scored in {own}: give --scenes or --photos")
    return entries, kept, {name: _read(rivals / f"{name}.json") for name in kept}


def _read(path: Path) -> Figures:
    figures: Figures = json.loads(path.read_text())
    return figures


def _made(args: argparse.Namespace, folder: Path) -> Path:
    """Scenes of the images of --photos. Raises: PanpriorError without any."""
    if args.photos is None:
        raise PanpriorError(
            "this part scores scenes of known truth: give --scenes, or --photos to make them of"
        )
    if simgen(["known", str(args.photos), str(folder / "scenes")]):
        raise PanpriorError(f"no scenes could be made of {args.photos}")
    return folder / "scenes"


def _classical(case: Case) -> Figures:
    names = list(METHODS)
    contenders = [*classical(names), *classical(names, registered=True)]
    return {result.method: result.indices for result in score(case, contenders)}


@torch.inference_mode()
def _network(case: Case, entry: SceneEntry, contender: NetworkContender, weights: Path) -> Figures:
    """As `fuse` does, and with the MTF given."""
    net, info = load_checkpoint(weights)
    with_model = network(net, find_model(info.model).halo)
    model = model_of_fuse(case.scene, info.target, case.pair)
    mtf, softness = _facts(entry)
    # The truth's softness is one part of the MS's blur; what is asked for takes its place.
    true = mtf * (softness / model.softness) ** (1 / case.scene.ratio**2)
    figures = {result.method: result.indices for result in score(case, [contender])}
    for factor in FACTORS:
        given = replace(model, mtf=(true * factor).clamp(0.01, 0.95).float())
        fused = with_model.fuse(replace(case, sensor_model=given))
        assert fused is not None
        figures[f"{factor:g}"] = score_image(case, fused)
    return figures


def _facts(entry: SceneEntry) -> tuple[torch.Tensor, torch.Tensor]:
    """MTF and softness of each band, as the scene was made with."""
    assert entry.pan is not None
    path = entry.pan.with_name(entry.pan.name.removesuffix("_pan.tif") + ".json")
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        return torch.tensor(facts["mtf_ms"]), torch.tensor(facts["softness"])
    except (OSError, ValueError, KeyError) as error:
        raise PanpriorError(f"{path} does not say the scene's MTF: {error!r}") from error


def _tables(kept: dict[str, Figures], others: dict[str, Figures]) -> str:
    rows = [
        Row(scene=scene, sensor="generic", protocol="known", method=method, indices=indices)
        for scene in kept
        for method, indices in [(NETWORK, kept[scene][NETWORK]), *others[scene].items()]
    ]
    columns = dict.fromkeys(("ERGAS", "SAM", "Q2n", "SSIM", "dE"), "known")
    return "\n\n".join(
        [
            scene_by_scene(rows, NETWORK, ALL, columns),
            as_markdown(comparison_grid(best_classical_baseline(rows))).strip(),
            _at_once(kept, others),
            _against_named(kept, others),
            _detail(kept, others),
            _given_mtf(kept),
        ]
    )


def _at_once(kept: dict[str, Figures], others: dict[str, Figures]) -> str:
    """On how many scenes the network is better in four indices at once, registered methods too."""
    better = 0
    for scene in kept:
        own, rivals = kept[scene][NETWORK], others[scene].values()
        better += all(
            own[index] < min(rival[index] for rival in rivals)
            if index in RATIOS
            else own[index] > max(rival[index] for rival in rivals)
            for index in AT_ONCE
        )
    return (
        f"Better in {', '.join(AT_ONCE)} at once, registered too: {better} of {len(kept)} scenes."
    )


def _against_named(kept: dict[str, Figures], others: dict[str, Figures]) -> str:
    """The network over methods by name: geometric means of ratios, means of differences."""
    indices = [i for i in (*RATIOS, *DIFFERENCES) if i in INDICES["known"]]
    lines = []
    for name in [name + ending for ending in ("", " registered") for name in NAMED]:
        pairs = [(kept[scene][NETWORK], others[scene][name]) for scene in kept]
        cells = [
            f"{_geometric([own[i] / rival[i] for own, rival in pairs]):.3f}"
            if i in RATIOS
            else f"{fmean(own[i] - rival[i] for own, rival in pairs):+.4f}"
            for i in indices
        ]
        better = sum(own["ERGAS"] < rival["ERGAS"] for own, rival in pairs)
        lines.append([name, *cells, f"{better} of {len(pairs)}"])
    heads = [f"{i} {'/' if i in RATIOS else '-'} rival" for i in indices]
    return pipe_table(["network against", *heads, "better in ERGAS on"], lines)


def _detail(kept: dict[str, Figures], others: dict[str, Figures]) -> str:
    """S and C over the truth's own, and on how many scenes they are near it."""
    lines = []
    for name in (NETWORK, *NAMED):
        values = [(kept[scene] | others[scene])[name] for scene in kept]
        sharp, colour = ([v[index] for v in values] for index in ("S/truth", "C/truth"))
        lines.append(
            [
                name,
                f"{_geometric(sharp):.3f}",
                f"{sum(abs(s - 1) <= 0.1 for s in sharp)} of {len(sharp)}",
                f"{_geometric(colour):.3f}",
                f"{sum(abs(c - 1) <= 0.2 for c in colour)} of {len(colour)}",
            ]
        )
    return pipe_table(["method", "S/truth", "within 10 %", "C/truth", "within 20 %"], lines)


def _given_mtf(kept: dict[str, Figures]) -> str:
    """ERGAS over that with the true MTF: the estimated one, and errors of 15 %."""
    lines = []
    for label, name in (
        ("estimated", NETWORK),
        *((f"{f:g} of the true", f"{f:g}") for f in FACTORS),
    ):
        ratios = [one[name]["ERGAS"] / one["1"]["ERGAS"] for one in kept.values()]
        ergas = fmean(one[name]["ERGAS"] for one in kept.values())
        lines.append([label, f"{ergas:.3f}", f"{_geometric(ratios):.3f}", f"{max(ratios):.3f}"])
    return pipe_table(["MTF given", "ERGAS", "over that with the true", "worst scene"], lines)


def _geometric(values: Sequence[float]) -> float:
    return math.exp(fmean(map(math.log, values)))

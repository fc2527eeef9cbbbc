"""One cell: trained, tuned or taken as it is, and scored on every ground."""

import argparse
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.study.builds import shards_of
from bench.study.seed.ground import Ground
from bench.study.seed.plan import (
    BATCH,
    CROP,
    LONG,
    NETWORKS,
    SCRATCH,
    TUNING_STEPS,
    Cell,
    training_rows,
)
from bench.study.seed.results import Record
from fusiontrain.data.crops import TrainingBatch
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_location import find_set
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import Contender, classical, load_networks
from fusiontrain.evaluation.score_image import BORDER, TOOLBOX_BORDER, score_image
from fusiontrain.metrics import ergas, q2n, sam
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.pretrained_weights import find_weights
from fusiontrain.models.registry import build_model, find_model
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import fit
from fusiontrain.training.one_shot import tune
from fusiontrain.training.recipes.one_shot import ONE_SHOT

MARKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # shares of a pretraining at which its curve is scored
Fuse = Callable[[Case], Tensor | None]
Grounds = Mapping[str, Ground]


def run_cell(
    cell: Cell, args: argparse.Namespace, folder: Path, grounds: Grounds, known: Sequence[Case]
) -> Record:
    """The record of a cell. Its weights are kept where others go on from them."""
    if cell.tuning == "classical":
        return _scored(cell, _classical(cell.network).fuse, grounds, known)
    if cell.tuning == "shipped":
        (contender,) = load_networks([Path("default")])
        return _scored(cell, contender.fuse, grounds, known)
    if cell.tuning == "zero-shot" and cell.recipe == LONG:
        net, facts = load_checkpoint(find_weights(NETWORKS[cell.network].shipped))[0], {}
    elif cell.tuning == "zero-shot":
        net, facts = _pretrained(cell, args, folder, grounds)
    else:
        net, facts = _on_one_pair(cell, folder, grounds[cell.sensor].learnt)
    return facts | _scored(cell, partial(_fuse, net), grounds, known)


def _classical(name: str) -> Contender:
    plain = name.removesuffix(" registered")
    (contender,) = classical([plain], registered=plain != name)
    return contender


def _pretrained(
    cell: Cell, args: argparse.Namespace, folder: Path, grounds: Grounds
) -> tuple[nn.Module, Record]:
    row, steps = NETWORKS[cell.network], max(1, cell.crops // BATCH)
    shards = shards_of(args, training_rows(), f"{cell.recipe}, {cell.images}")
    data = IndexedShards(
        [find_set(text) for text in shards], batch=BATCH, crop=CROP, seed=cell.seed
    )
    net = _built(cell)
    device = torch.device("cpu")
    curve: list[dict[str, float]] = []
    looks = _Looks(net, grounds, curve) if cell.whole else None
    begun = _processor()
    batches: Iterator[TrainingBatch] = iter(BatchLoader(data, start=0, workers=0, device=device))
    if looks is not None:
        batches = looks.between(batches, steps, begun)
    config = replace(_config(row.rate, steps), seed=cell.seed)
    fitted = fit(net, batches, config)
    seconds = _processor() - begun - (looks.seconds if looks else 0.0)
    net.eval()
    info = CheckpointInfo(model=row.model, sizes=_sizes(cell), training={"steps": steps})
    save_checkpoint(_weights(folder, cell), net, info)
    facts: Record = {"seconds": seconds, "steps": fitted.steps, "loss": fitted.loss}
    if looks is not None:
        looks.look(fitted.steps, seconds)
        facts["curve"] = curve
    return net, facts


def _on_one_pair(cell: Cell, folder: Path, learnt: Case) -> tuple[nn.Module, Record]:
    row = NETWORKS[cell.network]
    if cell.tuning in SCRATCH:
        more = cell.crops // BATCH if cell.tuning == "scratch" else 0
        net, config = _built(cell), _config(row.rate, more + TUNING_STEPS)
    else:
        long = cell.recipe == LONG
        start = find_weights(row.shipped) if long else _weights(folder, cell.start)
        net, _ = load_checkpoint(start)
        recipe = ONE_SHOT["freeze" if cell.tuning == "freeze" else "full"]()
        # The whole step from before to after; the recipe's own is half of it.
        config = replace(recipe, batch_size=BATCH, max_steps=TUNING_STEPS, crop=CROP, blend=1.0)
    config = replace(config, model=row.model, seed=cell.seed)
    begun = _processor()
    entry = find_model(row.model)
    if row.freeze:
        entry = replace(entry, freeze_tuning_prefixes=row.freeze)
    tuned = tune(net, entry, learnt, config)
    return tuned, {"seconds": _processor() - begun, "steps": config.max_steps}


def _config(rate: float, steps: int) -> TrainConfig:
    """Adam's rate by half a cosine to a hundredth, after a twentieth of warming up."""
    return TrainConfig(
        batch_size=BATCH,
        crop=CROP,
        max_steps=steps,
        learning_rate=rate,
        warmup_steps=min(20, steps),
        weight_decay=0.0,
    )


def _built(cell: Cell) -> nn.Module:
    torch.manual_seed(cell.seed)
    return build_model(NETWORKS[cell.network].model, **_sizes(cell))


def _sizes(cell: Cell) -> dict[str, int]:
    row = NETWORKS[cell.network]
    return {**find_model(row.model).sizes, **row.sizes}


def _weights(folder: Path, cell: Cell) -> Path:
    name = f"{cell.network}-{cell.recipe}-{cell.images}-{cell.seed}-{cell.crops}"
    path = folder / "weights" / f"{name.replace(' ', '-')}.safetensors"
    path.parent.mkdir(exist_ok=True)
    return path


class _Looks:
    """ERGAS on the first scene of each sensor, while a network is trained."""

    def __init__(self, net: nn.Module, grounds: Grounds, curve: list[dict[str, float]]) -> None:
        self.net, self.grounds, self.curve = net, grounds, curve
        self.seconds = 0.0  # that looking took

    def between(
        self, batches: Iterator[TrainingBatch], steps: int, begun: float
    ) -> Iterator[TrainingBatch]:
        marks = {max(1, round(share * steps)) for share in MARKS}
        for done, batch in enumerate(batches):
            if done in marks:
                self.look(done, _processor() - begun - self.seconds)
            yield batch

    def look(self, steps: int, seconds: float) -> None:
        begun = _processor()
        values = {
            sensor: _indices(ground.judged[0], _fuse(self.net, ground.judged[0]))["ERGAS"]
            for sensor, ground in self.grounds.items()
        }
        self.curve.append({"steps": steps, "seconds": seconds, **values})
        self.seconds += _processor() - begun


@torch.inference_mode()
def _fuse(net: nn.Module, case: Case) -> Tensor:
    fused: Tensor = net(case.registered)[0]
    return fused


@torch.inference_mode()
def _scored(cell: Cell, fuse: Fuse, grounds: Grounds, known: Sequence[Case]) -> Record:
    any_band = cell.tuning in ("classical", "shipped") or not NETWORKS[cell.network].sizes
    record: Record = {"reduced": {}}
    for sensor, ground in grounds.items():
        record["reduced"][sensor] = {
            case.name: _indices(case, fuse(case)) for case in ground.judged
        }
        if any_band and ground.every_band and cell.tuning != "freeze":
            record.setdefault("every band", {})[sensor] = {
                case.name: _indices(case, fuse(case)) for case in ground.every_band
            }
    if not cell.whole:
        return record
    record["full"] = {
        sensor: _only(("HQNR", "HQNR_reg", "S", "C"), ground.full, fuse(ground.full))
        for sensor, ground in grounds.items()
        if ground.full is not None
    }
    record["known"] = {
        case.name: _only(("ERGAS", "SAM", "S/truth", "C/truth"), case, fuse(case)) for case in known
    }
    return record


def _indices(case: Case, fused: Tensor | None) -> dict[str, float]:
    """ERGAS, SAM and Q2n within the border of the data's phase."""
    assert fused is not None
    assert case.truth is not None
    start, stop = TOOLBOX_BORDER if case.scene.phase == "toolbox" else (BORDER, BORDER)
    inner = slice(start, -stop)
    truth, fused = case.truth[:, inner, inner], fused[:, inner, inner]
    valid = None if case.scene.valid is None else case.scene.valid[inner, inner]
    return {
        "ERGAS": float(ergas(truth, fused, ratio=case.scene.ratio, valid=valid)),
        "SAM": float(sam(truth, fused, valid=valid)),
        "Q2n": float(q2n(truth, fused, valid=valid)),
    }


def _only(names: Sequence[str], case: Case, fused: Tensor | None) -> dict[str, float]:
    assert fused is not None
    values = score_image(case, fused)
    return {name: values[name] for name in names if name in values}


def _processor() -> float:
    """Seconds of processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

"""Validation while training, on data that is never trained on: held builds, and real scenes.

Held samples are drawn once from each build; the loss and ERGAS are means over them. Real scenes
are scored by Wald's protocol, and their figure is ERGAS over that of the best of a few classical
methods on the same scene, so that hard scenes weigh as easy ones do. The ranks share the work.
Nothing here draws a random number or changes the network in training.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.errors import SceneError, TrainingError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import classical, network, score
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.evaluation.score_image import BORDER
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch, Statistics
from fusiontrain.metrics import ergas
from fusiontrain.models.registry import ModelEntry
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.training.losses import LOSSES
from shards.manifest import Manifest

logger = logging.getLogger(__name__)

HELD_SAMPLES = 32  # of each build
RIVALS = ("EXP", "GSA", "GSA soft", "MTF-GLP-FS", "MTF-GLP-FS soft")
HELD_LOSS, HELD_ERGAS, SCENES_RATIO = "held_loss", "held_ergas", "scenes_ergas_ratio"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredScene:
    """A real scene one level down, and the ERGAS of the best classical method on it."""

    case: Case
    best_classical: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldSamples:
    """Whole samples of a build, by number."""

    data: IndexedShards
    numbers: tuple[int, ...]


class OnDevice(nn.Module):
    """A network on `device` that takes batches from the CPU and returns to it."""

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.net, self.device = net, device

    def forward(self, batch: PanBatch) -> Tensor:
        stats = batch.statistics
        if stats is not None:
            moved = {n: getattr(stats, n).to(self.device) for n in stats.__dataclass_fields__}
            stats = Statistics(**moved)
        with full_precision(self.device):
            return self.net(replace(batch.to(self.device), statistics=stats)).float().cpu()


class Validation:
    """The data to validate on, read once; `share` evaluates this rank's part of it."""

    def __init__(
        self,
        builds: Sequence[Path],
        scenes: Sequence[Path],
        *,
        entry: ModelEntry,
        bands: int | None,
        loss: str,
        log: bool = True,
    ) -> None:
        """`bands`: of a network of a fixed count; None: any. `log`: say which scenes are left out.

        Raises: TrainingError, ContractError or SceneError where there is nothing to validate on.
        """
        self.entry, self.loss = entry, loss
        self.held = [hold(folder, bands, HELD_SAMPLES) for folder in builds]
        self.scenes: list[ScoredScene] = []
        for listed in find_scenes(scenes) if scenes else []:
            try:
                case = reduced(listed.load())
                if bands not in (None, case.scene.bands):
                    raise SceneError(f"{case.scene.bands} bands; the network takes {bands}")
                classical_scores = [r.indices["ERGAS"] for r in score(case, classical(RIVALS))]
            except SceneError as error:
                if log:
                    logger.info("not validated on %s: %s", listed.name, error)
                continue
            best = min((x for x in classical_scores if math.isfinite(x)), default=math.nan)
            if math.isfinite(best) and best > 0:
                self.scenes.append(ScoredScene(case=case, best_classical=best))
        if scenes and not self.scenes:
            raise TrainingError("`scenes`: no scene can be scored by Wald's protocol")

    @property
    def best_by(self) -> str:
        """The figure that chooses the best weights: a held build's, where there is one.

        Real scenes should choose nothing where that can be avoided: they are the test.
        """
        return HELD_LOSS if self.held else SCENES_RATIO

    @property
    def columns(self) -> tuple[str, ...]:
        means = (HELD_LOSS, HELD_ERGAS) if self.held else ()
        scenes = (SCENES_RATIO, *(f"ergas {s.case.name}" for s in self.scenes))
        return ("step", *means, *(scenes if self.scenes else ()))

    def share(
        self, net: nn.Module, *, rank: int, world: int, beat: Callable[[], None]
    ) -> list[tuple[str, float]]:
        """This rank's figures, by name; `combine` makes the means of all ranks' lists."""
        jobs: list[Callable[[], list[tuple[str, float]]]] = [
            *(partial(self._on_sample, net, held, k) for held in self.held for k in held.numbers),
            *(partial(self._on_scene, net, scene) for scene in self.scenes),
        ]
        figures: list[tuple[str, float]] = []
        with torch.no_grad():
            for job in jobs[rank::world]:
                figures += job()
                beat()
        return figures

    def combine(self, figures: Sequence[tuple[str, float]]) -> dict[str, float]:
        """Means by name, the same for any number of ranks: summed exactly, then rounded once."""
        by_name: dict[str, list[float]] = {}
        for name, value in figures:
            by_name.setdefault(name, []).append(value)
        return {name: math.fsum(values) / len(values) for name, values in by_name.items()}

    def _on_sample(self, net: nn.Module, held: HeldSamples, k: int) -> list[tuple[str, float]]:
        batch = held.data[k]
        fused = net(batch.inputs)
        loss = LOSSES[self.loss](fused, batch.truth, batch.inputs)
        inner = slice(BORDER, -BORDER)
        index = ergas(
            batch.truth[0, :, inner, inner].double(),
            fused[0, :, inner, inner].double(),
            ratio=batch.inputs.ratio,
        )
        return [(HELD_LOSS, float(loss)), (HELD_ERGAS, float(index))]

    def _on_scene(self, net: nn.Module, scene: ScoredScene) -> list[tuple[str, float]]:
        (result,) = score(scene.case, [network(net, self.entry.halo)])
        value = result.indices["ERGAS"]
        return [(f"ergas {scene.case.name}", value), (SCENES_RATIO, value / scene.best_classical)]


def hold(folder: Path, bands: int | None, count: int) -> HeldSamples:
    """Up to `count` samples of a build, none twice, the same at every call.

    Raises: TrainingError where no sample has that many bands; ContractError.
    """
    side = Manifest.load(folder).tile
    data = IndexedShards([ShardSet(folder=folder)], batch=1, crop=side, seed=0, turned=False)
    fitting = [
        k
        for k in range(sum(group.size for group in data.groups))
        if bands in (None, data.groups[data.order.group_of(k)].shards[0].row.bands)
    ]
    if not fitting:
        raise TrainingError(
            f"`validate` {folder}: no sample has {bands} bands, as the network does"
        )
    return HeldSamples(data=data, numbers=tuple(fitting[:count]))


def also_trained_on(builds: Sequence[Path], manifests: Sequence[Manifest]) -> list[str]:
    """A line for each held build that holds shards, byte for byte, of those that are trained on."""
    trained = {row.sha256 for manifest in manifests for row in manifest.shards}
    lines = []
    for folder in builds:
        rows = Manifest.load(folder).shards
        if shared := sum(row.sha256 in trained for row in rows):
            lines.append(
                f"`validate` {folder}: {shared} of its {len(rows)} shards are also trained on, so "
                "its figures say little of images that were not; hold another build out"
            )
    return lines

"""Contenders of a benchmark: classical methods and networks under the names that tables give."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from fusiontrain.classical import METHODS, PLAIN, find_method_name
from fusiontrain.classical.method import Method
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.network_names import NETWORK, network_names
from fusiontrain.evaluation.protocols import model_of_fuse
from fusiontrain.evaluation.score_image import score_image
from fusiontrain.fusion.classical_fuser import fuse_classical
from fusiontrain.fusion.flip_ensemble import FLIPS, FlipEnsemble
from fusiontrain.fusion.network_fuser import fuse_network
from fusiontrain.fusion.options import Quality
from fusiontrain.fusion.sensor_model import CRISP, estimate_sensor_model
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint
from fusiontrain.models.pretrained_weights import find_weights, weights_for_wald
from fusiontrain.models.registry import ModelEntry, find_model
from fusiontrain.models.target import Target
from shards.manifest import file_sha256
from shards.near_names import did_you_mean

REGISTERED = " registered"  # what the names of classical methods on a registered PAN end with


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A method by name: case -> fused (C, H, W) DN, or None where it cannot be tried."""

    name: str
    fuse: Callable[[Case], Tensor | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkContender(Contender):
    """A network read from weights.

    Of the shipped default, whose two targets are two files, `net` and `info` are those that Wald's
    protocol scores.
    """

    net: nn.Module
    entry: ModelEntry
    info: CheckpointInfo
    target: Target  # what it gives at full resolution
    description: str  # model, size, training and sha256, for the page


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One contender on one case."""

    method: str
    fused: Tensor  # (C, H, W) DN
    indices: dict[str, float]
    seconds: float  # to fuse


def classical(names: Sequence[str], *, registered: bool = False) -> list[Contender]:
    """Classical methods by name, on the pair as it came or on a PAN moved to where the MS lies.

    Raises: SceneError naming those there are.
    """
    found = {name: find_method_name(name) for name in names}
    if unknown := [name for name in names if found[name] is None]:
        raise SceneError(
            f"no method {', '.join(unknown)}; have: {', '.join(PLAIN)}; NAME-soft: on a softened "
            f"PAN{did_you_mean(unknown[0], PLAIN)}"
        )
    ending = REGISTERED if registered else ""
    return [
        Contender(name=name + ending, fuse=partial(_fuse_classical, METHODS[name], registered))
        for name in filter(None, found.values())
    ]


def network(net: nn.Module, halo: Callable[[int], int], name: str = NETWORK) -> Contender:
    """A network in memory. `halo`: ratio -> PAN pixels to read around a window."""
    return Contender(name=name, fuse=partial(_fuse_network, net, halo))


def load_networks(
    weights: Sequence[Path], *, quality: Quality = "normal"
) -> Iterator[NetworkContender]:
    """Of paths and shipped names, named as network_names says.

    quality: "best" fuses with the mean of eight flips; `net` stays the network itself.
    Raises: CheckpointError; SceneError if one is given twice.
    """
    paths = [find_weights(path) for path in weights]
    for name, path in zip(network_names(paths), paths, strict=True):
        for_wald = weights_for_wald(path)
        net, info = load_checkpoint(for_wald)
        entry, training = find_model(info.model), info.training
        full_net, target, note = net, info.target, ""
        if for_wald != path:
            full_net, full_info = load_checkpoint(path)
            target, note = full_info.target, f"; by Wald's protocol {for_wald.stem}"
        wald_net: nn.Module = net
        if quality == "best":
            wald_net, full_net = FlipEnsemble(net), FlipEnsemble(full_net)
            note += f"; mean of {FLIPS} flips"
        full_fuse = partial(_fuse_network, full_net, entry.halo)
        crisp = partial(_fuse_crisp, full_fuse)
        ways = {
            "reduced": partial(_fuse_network, wald_net, entry.halo),
            "full": crisp if target == "scene" else full_fuse,
            "known": partial(_fuse_known, full_net, entry.halo, target),
        }
        yield NetworkContender(
            name=name,
            fuse=partial(_fuse_by_protocol, ways),
            net=net,
            entry=entry,
            info=info,
            target=target,
            description=(
                f"{info.model}, {sum(p.numel() for p in net.parameters()):,} parameters, trained "
                f"{training.get('steps', '?')} steps in {training.get('seconds', '?')} s, "
                f"sha256 {file_sha256(path)[:16]}{note}"
            ),
        )


@torch.inference_mode()
def score(case: Case, contenders: Sequence[Contender]) -> Iterator[Result]:
    """Every contender on one case, each result as soon as it is done."""
    for contender in contenders:
        begun = time.perf_counter()
        fused = contender.fuse(case)
        seconds = time.perf_counter() - begun
        if fused is None:
            continue
        yield Result(
            method=contender.name,
            fused=fused,
            indices=score_image(case, fused),
            seconds=seconds,
        )


def _fuse_classical(method: Method, registered: bool, case: Case) -> Tensor:
    scene = case.scene
    if method.window and scene.phase == "aligned" and max(scene.shape) > 2 * method.window:
        if registered:
            return fuse_classical(case.registered_scene, method, case.registered_model)
        return fuse_classical(scene, method, replace(case.sensor_model, shift=NO_SHIFT))
    statistics = case.statistics(soft=method.soft, registered=registered)
    return method.formula(statistics.inputs, statistics)[0].float()


def _fuse_by_protocol(ways: Mapping[str, Callable[[Case], Tensor]], case: Case) -> Tensor:
    return ways[case.protocol](case)


def _fuse_crisp(fuse: Callable[[Case], Tensor], case: Case) -> Tensor:
    """With the sensor model of `fuse` for the target `scene`: crisp, the MTF estimated on the pair.

    Published gains are several times those of some MS as delivered (SPOT-6, GaoFen-2).
    """
    on_ms = case.sensor_model.frame == "ms"
    model = estimate_sensor_model(
        case.scene, sensor=None, softness=CRISP, register=on_ms, pair=case.pair
    )
    return fuse(replace(case, sensor_model=replace(model, sensor=case.sensor_model.sensor)))


def _fuse_known(net: nn.Module, halo: Callable[[int], int], target: Target, case: Case) -> Tensor:
    """As `fuse` does without flags: sensor model estimated, the result on PAN."""
    model = model_of_fuse(case.scene, target, case.pair)
    return _fuse_network(net, halo, replace(case, sensor_model=model))


def _fuse_network(net: nn.Module, halo: Callable[[int], int], case: Case) -> Tensor:
    scene, model = case.registered_scene, case.registered_model
    return fuse_network(scene, net, model, halo=halo(case.scene.ratio))

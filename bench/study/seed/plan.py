"""What is trained: networks, pretraining, sensors; and the order, so that a short run says much."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Literal

from bench.study.builds import TrainedRow
from bench.study.trained import NATURAL, REMOTE
from fusiontrain.models.pretrained_weights import NAMES
from simgen.config import Recipe
from simgen.recipes import find_recipe

BATCH, CROP = 2, 64  # crops a step, PAN pixels a side
TILE = 96  # of shards
TUNING_STEPS = 120  # on one pair, of BATCH crops
IMAGES = 330  # of each kind: as many as there are of remote sensing
Tuning = Literal["classical", "shipped", "scratch", "brief", "zero-shot", "full", "freeze"]
# From scratch on one pair: with as many crops as a pretraining and a tuning, and as a tuning.
SCRATCH: tuple[Tuning, ...] = ("scratch", "brief")
TUNINGS: tuple[Tuning, ...] = ("full", "freeze")


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network of the experiment, at four bands where it is of a fixed number."""

    family: str
    model: str  # in the registry
    sizes: dict[str, int] = field(default_factory=dict)
    form: str = "as published"
    rate: float = 1e-3
    deciding: bool = False  # every pretraining, and several seeds
    shipped: str = ""  # weights of a longer pretraining
    freeze: tuple[str, ...] = ()  # what freeze-tuning trains, where not what the registry says


NETWORKS = {
    "PanNet": Network(
        family="CNN", model="pannet", sizes={"bands": 4}, deciding=True, shipped="pannet"
    ),
    "SwinIR": Network(
        family="Transformer",
        model="swinir-small",
        sizes={"bands": 4},
        form="small: 32 features, 2 groups of 4 layers; published 60, 4 of 6",
        deciding=True,
        shipped="swinir-small",
    ),
    "default": Network(
        family="any-band CNN",
        model="anyband",
        form="as shipped",
        rate=2e-3,
        deciding=True,
        shipped="default-sensor",
    ),
    "FusionNet": Network(family="CNN", model="fusionnet", sizes={"bands": 4}),
    "GPPNN": Network(
        family="unfolding",
        model="gppnn",
        sizes={"bands": 4, "width": 32, "layers": 4},
        freeze=("layers.3.",),
        form="small: 32 features, 4 layers; published 64, 8",
    ),
    "Pan-Mamba": Network(
        family="Mamba",
        model="anyband-panmamba",
        form="any-band form, which works on the MS's grid",
        rate=2e-3,
    ),
}
# The scene that the sensor's pair is cut of, where there are several; else all of the sensor.
SENSORS: dict[str, tuple[str, ...]] = {
    "WorldView-2": ("WV2_grip_1",),
    "WorldView-3": ("WV3rr_cdif_1",),
    "WorldView-4": ("WV4rr_pairmax_mexi_nat",),
    "IKONOS": ("IKONOS_grip_1",),
    "QuickBird": ("QB_abfnet_full",),
    "GaoFen-2": tuple(f"GF2_ucgan_train{i}" for i in range(5)),
}
METHODS = ("EXP", "GSA", "MTF-GLP-FS", "SR-D")
SHIPPED = "shipped default"
FEW = ("IKONOS", "WorldView-4")  # sensors of what is not done on all
LONG, OPEN = "long", "open"  # recipe and images of the shipped weights
FIXED = "fixed"  # ours, for networks that are given values alone
RECIPES = {"paper": "paper", "ours": "sensor-clean", FIXED: "sensor-fixed"}
KINDS: dict[str, tuple[str, ...]] = {"photographs": NATURAL, "remote sensing": REMOTE}
BOTH = "both"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One training, or one method that needs none. Its fields are its key."""

    network: str
    tuning: Tuning
    recipe: str = ""
    images: str = ""
    sensor: str = ""  # whose pair it learnt from
    seed: int = 0
    crops: int = 0  # seen in pretraining, or from scratch

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def start(self) -> "Cell":
        """The pretraining that a tuned cell goes on from."""
        return zero_shot(self.network, self.recipe, self.images, self.seed, self.crops)

    @property
    def whole(self) -> bool:
        """Whether it is judged at full resolution and on known truth too."""
        return self.tuning in ("classical", "shipped") or (
            self.seed == 0 and self.tuning == "zero-shot" and self.images in (BOTH, OPEN)
        )

    def __str__(self) -> str:
        parts = (self.network, self.tuning, self.recipe, self.images, self.sensor)
        return ", ".join(part for part in (*parts, f"seed {self.seed}") if part)


def zero_shot(network: str, recipe: str, images: str, seed: int, crops: int) -> Cell:
    return Cell(
        network=network, tuning="zero-shot", recipe=recipe, images=images, seed=seed, crops=crops
    )


def plan(
    networks: Sequence[str], sensors: Sequence[str], seeds: Sequence[int], crops: int
) -> list[Cell]:
    """First what needs no training; then one seed; then other seeds of what decides."""
    first, *others = seeds
    few = [name for name in sensors if name in FEW] or list(sensors)
    deciding = [name for name in networks if NETWORKS[name].deciding]
    rest = [name for name in networks if name not in deciding]
    blind = [name for name in networks if NETWORKS[name].sizes]  # not given the MS's softness
    cells = [Cell(network=name, tuning="classical") for name in classical_names()]
    cells.append(Cell(network=SHIPPED, tuning="shipped"))
    cells += _pretrained(networks, ("ours", "paper"), (BOTH,), first, crops)
    cells += _pretrained(blind, (FIXED,), (BOTH,), first, crops)
    cells += _on_one_pair(deciding, sensors, first, crops)
    for seed in others:
        cells += _pretrained(deciding, ("ours", "paper"), (BOTH,), seed, crops)
    cells += _pretrained(deciding, ("ours", "paper"), KINDS, first, crops)
    cells += _from_shipped(deciding, sensors, first)
    for seed in others:
        cells += _on_one_pair(deciding, few, seed, crops)
    cells += _on_one_pair(rest, few, first, crops)
    for seed in others:
        cells += _pretrained(deciding, ("ours",), KINDS, seed, crops)
    return cells


def _pretrained(
    networks: Sequence[str],
    recipes: Sequence[str],
    kinds: Iterable[str],
    seed: int,
    crops: int,
) -> list[Cell]:
    return [
        zero_shot(name, recipe, images, seed, crops)
        for name in networks
        for images in kinds
        for recipe in recipes
    ]


def _on_one_pair(
    networks: Sequence[str], sensors: Sequence[str], seed: int, crops: int
) -> list[Cell]:
    """Full and freeze-tuning of the pretraining by ours on both kinds, and from scratch."""
    cells = []
    for name in networks:
        start = zero_shot(name, "ours", BOTH, seed, crops)
        for sensor in sensors:
            cells += [replace(start, tuning=kind, sensor=sensor) for kind in TUNINGS]
            cells += [
                Cell(network=name, tuning=kind, sensor=sensor, seed=seed, crops=crops)
                for kind in SCRATCH
            ]
    return cells


def _from_shipped(networks: Sequence[str], sensors: Sequence[str], seed: int) -> list[Cell]:
    cells = []
    for name in networks:
        if NETWORKS[name].shipped in NAMES:
            start = zero_shot(name, LONG, OPEN, seed, 0)
            cells.append(start)
            cells += [
                replace(start, tuning=kind, sensor=sensor) for sensor in sensors for kind in TUNINGS
            ]
    return cells


def classical_names() -> list[str]:
    """Each method plain, on a PAN as soft as the MS, and both with PAN registered."""
    named = [name for name in METHODS if name != "EXP"]
    kinds = ("", " soft", " registered", " soft registered")
    return ["EXP", *(f"{name}{kind}" for name in named for kind in kinds)]


def training_rows() -> dict[str, TrainedRow]:
    """Builds by "RECIPE, KIND"; both kinds are halves of the two builds."""
    rows = {}
    for recipe in RECIPES:
        for kind, folders in KINDS.items():
            rows[f"{recipe}, {kind}"] = TrainedRow(
                label=kind, recipe=partial(_recipe, recipe), folders=folders, images=IMAGES
            )
        rows[f"{recipe}, {BOTH}"] = TrainedRow(
            label=BOTH,
            recipe=partial(_recipe, recipe),
            shares={f"{recipe}, {kind}": 1 / len(KINDS) for kind in KINDS},
        )
    return rows


def _recipe(name: str) -> Recipe:
    """The recipe, with the bit depths of the six sensors' data in place of its own."""
    return find_recipe(RECIPES[name]).with_fields(name=f"seed-{name}", bits=(10, 11))

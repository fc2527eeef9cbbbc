"""The configuration of a training run: what decides its result, and how it is run.

Annotated[type, "help"]: commands make flags and config files of these fields.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from fusiontrain.errors import TrainingError
from fusiontrain.models.target import Target

Schedule = Literal["cosine", "wsd", "steps", "linear", "constant"]
Trained = Literal["all", "freeze"]
# What the first runs recorded. A setting that came later is recorded where it says something
# new, so that the digest of a run from before it stays what it was.
_FROM_THE_START = frozenset(
    {
        *("model", "max_steps", "max_minutes", "batch_size", "crop", "learning_rate"),
        *("warmup_steps", "final_rate", "weight_decay", "clip_norm", "seed", "precision"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything that decides a run besides the data. A recipe is a function that returns one."""

    model: Annotated[str, "name of the network; docs/reference/models.md"] = "anyband"
    max_steps: Annotated[int, "stop after N optimizer steps"] = 20_000
    max_minutes: Annotated[
        float | None, "stop after X minutes of wall clock, if they end before the steps"
    ] = None
    batch_size: Annotated[int, "crops a step, over all processes and micro-batches"] = 16
    crop: Annotated[int, "side of a crop, PAN pixels"] = 128
    loss: Annotated[Literal["relative_l1", "consistent_l1", "l1", "scene_l1"], "training loss"] = (
        "relative_l1"
    )
    optimizer: Annotated[Literal["adamw", "adam"], "optimizer"] = "adamw"
    learning_rate: Annotated[float, "highest learning rate"] = 2e-3
    schedule: Annotated[Schedule, "schedule of the learning rate"] = "cosine"
    warmup_steps: Annotated[int, "steps in which the learning rate rises"] = 50
    final_rate: Annotated[
        float, "last learning rate of cosine, wsd and linear, a share of the highest"
    ] = 0.01
    decay_share: Annotated[float, "share of the run, at its end, in which wsd decays"] = 0.2
    weight_decay: Annotated[float, "weight decay"] = 1e-4
    clip_norm: Annotated[float, "largest norm of the gradients; 0: not clipped"] = 1.0
    ema_decay: Annotated[float, "decay of averaged weights; 0: none are kept"] = 0.0
    blend: Annotated[
        float, "share of the tuned weights, the rest the start's; one_shot recipes only"
    ] = 1.0
    trained: Annotated[
        Trained, "which weights: all, or those that the model names for freeze-tuning"
    ] = "all"
    target: Annotated[Target, "what the truth of the shards is"] = "sensor"
    mtf_error: Annotated[
        float, "spread of the logarithm of the MTF that the network is given over the true one"
    ] = 0.0
    initial: Annotated[str, "sha256 of the weights it starts from; none: drawn from the seed"] = ""
    seed: Annotated[int, "seed of weights, order of samples and crops"] = 0
    precision: Annotated[Literal["no", "bf16", "fp16"], "precision of the network's arithmetic"] = (
        "no"
    )

    tf32: Annotated[
        bool, "on GPUs, ten bits of mantissa in the network's convolutions and matrix products"
    ] = False

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "crop"):
            if getattr(self, name) < 1:
                raise TrainingError(f"`{name}` must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"`seed` must lie in 0..2**32-1; got {self.seed}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise TrainingError(f"`max_minutes` must be positive; got {self.max_minutes}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise TrainingError(f"`learning_rate` must be positive; got {self.learning_rate}")
        for name in ("warmup_steps", "clip_norm", "weight_decay", "mtf_error"):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"`{name}` must not be negative; got {getattr(self, name)}")
        for name in ("ema_decay", "final_rate", "decay_share", "blend"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"`{name}` must lie in 0..1; got {getattr(self, name)}")
        if self.ema_decay == 1:
            raise TrainingError("`ema_decay` must be below 1: at 1 nothing is ever averaged in")

    def as_data(self) -> dict[str, Any]:
        neutral = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in asdict(self).items()
            if name in _FROM_THE_START or value != neutral[name]
        }

    @property
    def digest(self) -> str:
        """sha256 of the data: the recipe's hash, as checkpoints carry it."""
        return hashlib.sha256(json.dumps(self.as_data(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """How a run is carried out. Only `stream` and rounding change what is learnt."""

    recipe: str = ""  # name of what made the TrainConfig
    weights: Path | None = None  # to start from; their sha256 is the TrainConfig's `initial`
    stream: Annotated[
        bool, "read the shards over the network as they come, without a copy on disk"
    ] = False
    workers: Annotated[int, "reader processes of each rank"] = 0
    on_bad_shard: Annotated[Literal["fail", "skip"], "stop at a damaged shard, or leave it out"] = (
        "fail"
    )
    max_bad_shards: Annotated[
        str, "most that may be left out: a share of the samples (5%), or a count of shards"
    ] = "5%"
    resume: Annotated[
        Literal["auto", "never"], "auto: go on from the newest complete state of the run"
    ] = "auto"
    accumulate: Annotated[int, "micro-batches of each step and process"] = 1
    compile: Annotated[bool, "compile the network with torch.compile"] = False
    save_minutes: Annotated[float, "minutes between saved states"] = 10.0
    save_steps: Annotated[int, "steps between saved states; 0: by the clock alone"] = 0
    validate: tuple[Path, ...] = ()  # builds that are never trained on
    scenes: Annotated[
        tuple[Path, ...], "real scenes to validate on by Wald's protocol; never trained on"
    ] = ()
    validate_steps: Annotated[int, "steps between validations; 0: by the clock alone"] = 0
    validate_minutes: Annotated[float, "minutes between validations"] = 10.0
    trackers: tuple[str, ...] = ("tensorboard",)
    log_steps: Annotated[
        int, "steps between rows of log.csv; the first and the last step have one too"
    ] = 20
    picture_steps: Annotated[int, "steps between pictures of one sample; 0: none"] = 0
    hang_minutes: Annotated[float, "end a run that has made no step for X minutes; 0: never"] = 30.0

    def __post_init__(self) -> None:
        for name in ("workers", "save_steps", "validate_steps", "picture_steps", "hang_minutes"):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"`{name}` must not be negative; got {getattr(self, name)}")
        for name in ("accumulate", "log_steps"):
            if getattr(self, name) < 1:
                raise TrainingError(f"`{name}` must be at least 1; got {getattr(self, name)}")
        for name in ("save_minutes", "validate_minutes"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"`{name}` must be positive; got {getattr(self, name)}")

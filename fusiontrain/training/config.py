"""The configuration of a training run: what decides its result, and how it is run."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from fusiontrain.errors import TrainingError

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

    model: str = "anyband"
    max_steps: int = 20_000
    max_minutes: float | None = None  # wall clock; whichever ends first
    batch_size: int = 16  # crops a step, over all processes and micro-batches
    crop: int = 128  # PAN pixels a side
    loss: Literal["relative_l1", "consistent_l1", "l1"] = "relative_l1"
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 2e-3
    schedule: Schedule = "cosine"
    warmup_steps: int = 50
    final_rate: float = 0.01  # of learning_rate, at the end of cosine, wsd and linear
    decay_share: float = 0.2  # of the run, at its end, in which wsd cools down
    weight_decay: float = 1e-4
    clip_norm: float = 1.0  # 0: gradients are left as they are
    ema_decay: float = 0.0  # of averaged weights; 0: none are kept
    blend: float = 1.0  # of the tuned weights, the rest the start's; of tuning on one scene alone
    trained: Trained = "all"  # or what the model's entry names for freeze-tuning
    initial: str = ""  # sha256 of the weights it starts from; none: drawn from the seed
    seed: int = 0
    precision: Literal["no", "bf16", "fp16"] = "no"

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "crop"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"seed must lie in 0..2**32-1; got {self.seed}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise TrainingError(f"max_minutes must be positive; got {self.max_minutes}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise TrainingError(f"learning_rate must be positive; got {self.learning_rate}")
        for name in ("warmup_steps", "clip_norm", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise TrainingError(f"{name} must not be negative; got {getattr(self, name)}")
        for name in ("ema_decay", "final_rate", "decay_share", "blend"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} must lie in 0..1; got {getattr(self, name)}")
        if self.ema_decay == 1:
            raise TrainingError("ema_decay must be below 1: at 1 nothing is ever averaged in")

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

    recipe: str = ""  # the name of what made the config
    weights: Path | None = None  # to start from; their sha256 is the config's `initial`
    stream: bool = False  # read shards over the network as they come, without a copy on disk
    workers: int = 0  # reader processes a rank
    on_bad: Literal["fail", "skip"] = "fail"
    max_bad: str = "5%"  # of the samples may lie in shards that are skipped, or so many shards
    resume: Literal["auto", "never"] = "auto"
    accumulate: int = 1  # micro-batches a step and a process
    compiled: bool = False
    save_minutes: float = 10.0  # between states
    save_steps: int = 0  # between states too; 0: by the clock alone
    validate: tuple[Path, ...] = ()  # builds that are never trained on
    scenes: tuple[Path, ...] = ()  # real ones, measured by Wald's protocol
    validate_steps: int = 0  # 0: by the clock alone
    validate_minutes: float = 10.0
    trackers: tuple[str, ...] = ("tensorboard",)
    log_steps: int = 20  # between rows of the log
    picture_steps: int = 0  # between pictures; 0: none
    hang_minutes: float = 30.0  # without a step, after which a run is given up; 0: never

    def __post_init__(self) -> None:
        for name in ("workers", "save_steps", "validate_steps", "picture_steps", "hang_minutes"):
            if not getattr(self, name) >= 0:
                raise TrainingError(
                    f"--{name.replace('_', '-')} must not be negative; got {getattr(self, name)}"
                )
        for name in ("accumulate", "log_steps"):
            if getattr(self, name) < 1:
                raise TrainingError(
                    f"--{name.replace('_', '-')} must be at least 1; got {getattr(self, name)}"
                )
        for name in ("save_minutes", "validate_minutes"):
            if not getattr(self, name) > 0:
                raise TrainingError(
                    f"--{name.replace('_', '-')} must be positive; got {getattr(self, name)}"
                )

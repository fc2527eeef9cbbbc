"""A training run, said in frozen data."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from fusiontrain.errors import TrainingError


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything that decides a run besides the shards."""

    model: str = "anyband"
    max_steps: int = 20_000
    max_minutes: float | None = None  # wall clock; whichever ends first
    batch_size: int = 16  # crops a step, over all processes
    crop: int = 128  # PAN pixels a side
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    final_rate: float = 0.01  # of learning_rate, at the end of the cosine
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    seed: int = 0
    precision: Literal["no", "bf16"] = "no"

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "crop"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1; got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"seed must lie in 0..2**32-1; got {self.seed}")
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise TrainingError(f"max_minutes must be positive; got {self.max_minutes}")

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

"""The learning rate: a function of the step and of the share of the run that is done. Pure.

The share is of steps or of the time budget, whichever is further: a run of so many minutes
cools down as one of so many steps does.
"""

import math
from collections.abc import Callable

from fusiontrain.training.config import TrainConfig

FALLS, FALL_TO = 6, 0.8  # of the stepped schedule: every sixth of the run to .8 of what it was


def learning_rate(config: TrainConfig, step: int, done: float) -> float:
    """Linear warm-up, then the schedule's shape. `done` lies in 0..1."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    shape = _SHAPES[config.schedule](config, done)
    return config.learning_rate * warm * (config.final_rate + (1 - config.final_rate) * shape)


def _cosine(_: TrainConfig, done: float) -> float:
    """Source: Loshchilov and Hutter 2017, arXiv:1608.03983."""
    return 0.5 * (1 + math.cos(math.pi * done))


def _wsd(config: TrainConfig, done: float) -> float:
    """Stable, then down by one minus a root. Source: Hägele et al. 2024, arXiv:2405.18392."""
    left = 1 - config.decay_share
    return 1.0 if done <= left else 1 - math.sqrt((done - left) / config.decay_share)


def _steps(_: TrainConfig, done: float) -> float:
    """StepLR of torch, counted in shares of the run."""
    return FALL_TO ** min(FALLS - 1, math.floor(FALLS * done))


def _linear(_: TrainConfig, done: float) -> float:
    return 1 - done


def _constant(_: TrainConfig, __: float) -> float:
    return 1.0


_SHAPES: dict[str, Callable[[TrainConfig, float], float]] = {
    "cosine": _cosine,
    "wsd": _wsd,
    "steps": _steps,
    "linear": _linear,
    "constant": _constant,
}

"""Tuning on exactly one pair of the target sensor: one_shot.py runs these."""

from collections.abc import Callable
from dataclasses import replace

from fusiontrain.training.config import TrainConfig


def one_shot() -> TrainConfig:
    """All weights on crops of one pair: 100 steps, fixed beforehand, the rate falling to nothing.

    What is used is the mean of the weights before and after: one pair teaches its own noise too,
    and half way it helps on other scenes of all four sensors that have some
    (docs/reports/study.md).
    Cost: 0.3 s a step on 2 CPU cores.
    Source of the mean: Wortsman et al. 2022, CVPR, arXiv 2109.01903.
    """
    return TrainConfig(
        max_steps=100,
        batch_size=4,
        crop=96,
        learning_rate=5e-4,
        schedule="linear",
        warmup_steps=0,
        final_rate=0.0,
        blend=0.5,
        weight_decay=0.0,
    )


def one_shot_freeze() -> TrainConfig:
    """The same for the few parameters that the model's entry names, at twice the rate."""
    return replace(one_shot(), trained="freeze", learning_rate=1e-3)


ONE_SHOT: dict[str, Callable[[], TrainConfig]] = {"full": one_shot, "freeze": one_shot_freeze}

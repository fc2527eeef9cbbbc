"""Tuning a pretrained network on shards of the target sensor (simgen's source `scene`)."""

from dataclasses import replace

from fusiontrain.training.config import TrainConfig


def finetune_full() -> TrainConfig:
    """All weights, at a quarter of pretraining's rate for a tenth of its steps.

    Cost: as pretraining, 0.28 s a step of 8 crops on 2 CPU cores. The numbers are our choice
    (the seed paper says full-tuning, and no more); nothing has been swept.
    """
    return TrainConfig(
        max_steps=2_000,
        batch_size=8,
        learning_rate=5e-4,
        warmup_steps=20,
        weight_decay=0.0,
    )


def finetune_freeze() -> TrainConfig:
    """Only what the model's entry names (the head and the norms), at twice the rate of full."""
    return replace(finetune_full(), trained="freeze", learning_rate=1e-3)

"""Pretraining from simulated sensors."""

from fusiontrain.config import TrainConfig


def pretrain() -> TrainConfig:
    """L1 in each band's own spread, AdamW, cosine schedule, 128-pixel crops.

    Cost: 0.28 s a step of 8 crops on 2 CPU cores (AVX2); 20,000 steps are the full recipe.
    """
    return TrainConfig()

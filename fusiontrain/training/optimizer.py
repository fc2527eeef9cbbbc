"""The optimizer, and which parameters it trains."""

import torch
from torch import nn

from fusiontrain.training.config import TrainConfig


def make_optimizer(
    net: nn.Module, config: TrainConfig, frozen: tuple[str, ...]
) -> torch.optim.Optimizer:
    """Over all parameters, or over those whose names begin as in `frozen`; the rest stay.

    Under freeze-tuning `requires_grad` of the others is switched off.
    """
    trained_parameters = []
    for name, parameter in net.named_parameters():
        trained = config.trained == "all" or name.startswith(frozen)
        parameter.requires_grad_(trained)
        if trained:
            trained_parameters.append(parameter)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(
        trained_parameters,
        lr=config.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=config.weight_decay,
    )

"""The weights that are shipped: `make weights`."""

from dataclasses import replace

from fusiontrain.config import TrainConfig
from fusiontrain.recipes.pretrain import pretrain


def release() -> TrainConfig:
    """`pretrain` with batches of 8, for as many steps as the shipped weights had.

    Cost: an hour on one core (AVX-512), others busy. Score: fusiontrain/weights/default.md.
    """
    return replace(pretrain(), batch_size=8, max_steps=12_000)


def release_small() -> TrainConfig:
    """The same for `anyband-small`, in a sixth of the time. Score: fusiontrain/weights/small.md."""
    return replace(release(), model="anyband-small", max_steps=5_000)

"""Pretraining from simulated sensors."""

from fusiontrain.training.config import TrainConfig


def pretrain() -> TrainConfig:
    """Ours: L1 in each band's spread, consistency with the MS, AdamW, cosine, crops of 128 pixels.

    No averaged weights: after 250 steps they measured .2 % worse than the last
    (docs/guides/train.md).

    Cost: 0.28 s a step of 8 crops on 2 CPU cores (AVX2); 20,000 steps are the full recipe.
    """
    return TrainConfig(loss="consistent_l1")


def pretrain_paper() -> TrainConfig:
    """The seed paper's authors' habits; the paper's own numbers could not be read.

    L1 of values over full scale, Adam at 1e-3 that falls to .8 of itself six times (every 50 of
    300 epochs), batches of 16, crops of 128, seed 42; nothing is clipped, averaged or warmed up.
    Source: PreMix and LLaRS, the same authors' public code, for Cui, Liu and Zeng 2025,
    arXiv 2512.02643. Cost and score: not measured; see `pretrain` for a step's cost.
    """
    return TrainConfig(
        loss="l1",
        optimizer="adam",
        learning_rate=1e-3,
        schedule="steps",
        warmup_steps=0,
        final_rate=0.0,
        weight_decay=0.0,
        clip_norm=0.0,
        batch_size=16,
        crop=128,
        seed=42,
    )

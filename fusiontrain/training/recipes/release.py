"""The weights that are shipped: `make weights`."""

from dataclasses import replace

from fusiontrain.training.config import TrainConfig
from fusiontrain.training.recipes.pretrain import pretrain


def release() -> TrainConfig:
    """`pretrain` with batches of 8: the first leg of the shipped default.

    Cost: an hour on one core (AVX-512), others busy. Score: .785 of the best classical ERGAS.
    """
    return replace(pretrain(), batch_size=8, max_steps=12_000)


def release_small() -> TrainConfig:
    """The same for `anyband-small`, in a sixth of the time: all of its training.

    Score: fusiontrain/weights/small.md. 4,000 steps more by `release_more` gave ERGAS .821 for
    .823 of the best classical method's, and 1.035 for 1.025 on the worst scene: not taken.
    """
    return replace(release(), model="anyband-small", max_steps=5_000)


def release_more() -> TrainConfig:
    """The default's second leg: on from its weights at half the rate, on other draws.

    Cost: an hour on one core (AVX-512), others busy. Score: fusiontrain/weights/default-sensor.md.
    """
    return replace(release(), learning_rate=1e-3, max_steps=8_000)


def release_sensor() -> TrainConfig:
    """The default of the target `sensor`: on from `release_more`, wider, with a step to the MS.

    Channels are added to the trained network (models/anyband/widening.py).
    Cost: .55 s a step on one core (AVX-512); the shipped weights had 10,249 steps, and 12,000
    at a rate of 8e-4 with `sensor-soft` among the shards (Makefile, `weights`).
    Score: fusiontrain/weights/default-sensor.md.
    """
    return replace(
        release_more(),
        model="anyband-sensor",
        learning_rate=1.5e-3,
        max_steps=12_000,
        ema_decay=0.999,
    )


def release_scene() -> TrainConfig:
    """The default of the target `scene`: on from the weights of the target `sensor`.

    On shards of simgen's recipes `scene`, `scene-soft` and `scene-x2`; the MTFs that the network is
    given are as far off as estimates are.
    Cost: 1.2 steps a second on a core (AVX-512) that six others shared, 3 on a free one; the
    shipped weights had 5,300 in three legs. Score: fusiontrain/weights/default.md.
    """
    return replace(
        release(),
        model="anyband-scene",
        target="scene",
        loss="scene_l1",
        learning_rate=1e-3,
        max_steps=5_000,
        batch_size=6,
        mtf_error=0.15,
        ema_decay=0.999,
    )


def release_open() -> TrainConfig:
    """`release_scene` from the start, on openly licensed images: `make weights-open`.

    Cost: 95 minutes on one core (AVX-512) to itself. Score: fusiontrain/weights/default-open.md.
    """
    return replace(release_scene(), learning_rate=release().learning_rate, max_steps=22_000)

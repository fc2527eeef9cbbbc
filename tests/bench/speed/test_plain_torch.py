"""What the simulation is raced against does the same work."""

import numpy as np

from bench.speed import plain_torch
from simgen.recipes import find_recipe
from simgen.sampling import sample_parameters
from simgen.simulate import dispatch


def test_plain_torch_makes_what_we_make(make_jpeg):
    """`sensor` but for its noise and random fields: under .1 % of full scale apart on average.

    Whatever a recipe learns to do, the rival must do too, or their race says nothing.
    """
    recipe = find_recipe("sensor").with_fields(
        tile=64,
        pan_unexplained_chance=0.0,
        local_shift_chance=0.0,
        moving_chance=0.3,
        read_noise=(0.0, 0.0),
        shot_noise=(0.0, 0.0),
        stripe_chance=0.0,
    )
    data = make_jpeg(375, 500, 1)
    draws = [
        sample_parameters(recipe, bands=5, seed=0, key=str(key), height=375, width=500)
        for key in range(16)
    ]
    assert {True, False} == {draw.materials is None for draw in draws}
    jobs = [dispatch.Job(image=data, draw=draw) for draw in draws]

    apart = []
    for draw, ours in zip(draws, dispatch.run(jobs, recipe, device="cpu"), strict=True):
        theirs = plain_torch.simulate(data, draw, recipe, noisy=False)
        apart += [
            np.abs(image.astype(float) - other).mean() / (2**draw.bits - 1)
            for image, other in zip(ours, theirs, strict=True)
        ]

    assert np.mean(apart) < 0.001
    assert max(apart) < 0.002

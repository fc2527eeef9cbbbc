"""The stages of a build: functions that are there, under the names that the build calls."""

import pytest

pytest.importorskip("nvidia.dali")

from bench.speed.stages import ON_HOST, STAGES, host_beside_gpu
from simgen.effects import GeometryRanges


def test_every_stage_is_a_function_of_the_build():
    missing = [
        (module.__name__, name)
        for functions in STAGES.values()
        for module, name in functions
        if not callable(getattr(module, name, None))
    ]

    assert missing == []


def test_the_hosts_part_beside_a_gpu():
    """A ms a stage: 7 stay on the host; of samples that a GPU cannot finish, all 11 but DALI's."""
    rows = dict.fromkeys(STAGES, 1.0)

    still = host_beside_gpu(rows, GeometryRanges(moving_chance=0, local_shift_chance=0))
    half = host_beside_gpu(rows, GeometryRanges(moving_chance=0.5, local_shift_chance=0))
    always = host_beside_gpu(rows, GeometryRanges(moving_chance=1, local_shift_chance=0.3))

    assert set(ON_HOST) < set(STAGES)
    assert (7, 9, 11) == (still, half, always)

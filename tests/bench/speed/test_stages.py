"""The stages of a build: functions that are there, under the names that the build calls."""

import pytest

pytest.importorskip("nvidia.dali")

from bench.speed.stages import STAGES


def test_every_stage_is_a_function_of_the_build():
    missing = [
        (module.__name__, name)
        for functions in STAGES.values()
        for module, name in functions
        if not callable(getattr(module, name, None))
    ]

    assert missing == []

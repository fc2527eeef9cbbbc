"""Options of one fusion are refused when they are made, each by its parameter's name."""

from pathlib import Path

import pytest

from fusiontrain.errors import SceneError
from fusiontrain.fusion.options import AdaptationBudget, FusionOptions


@pytest.mark.parametrize("softness", [None, "bands", 0.05, 0.3, 0.95])
def test_a_softness_within_its_limits_is_kept(softness):
    assert FusionOptions(softness=softness).softness == softness


@pytest.mark.parametrize("softness", [0, 0.04, 0.96, -1.0, float("nan"), "auto", "crisp", "0.3"])
def test_any_other_softness_is_refused(softness):
    with pytest.raises(SceneError, match="`softness` is"):
        FusionOptions(softness=softness)


@pytest.mark.parametrize("option", [{"weights": Path("small")}, {"model": "m:N"}])
def test_a_classical_method_takes_no_network(option):
    with pytest.raises(SceneError, match=f"`{next(iter(option))}` is of a network; `method=GSA`"):
        FusionOptions(method="gsa", **option)


def test_a_classical_method_cannot_be_adapted():
    with pytest.raises(SceneError, match="`adapt` tunes a network; `method=GSA`"):
        FusionOptions(method="gsa", adapt=AdaptationBudget(steps=4))


@pytest.mark.parametrize(
    ("value", "budget"),
    [
        (None, None),
        (60, AdaptationBudget(seconds=60)),
        ("2.5", AdaptationBudget(seconds=2.5)),
        (" 40Steps", AdaptationBudget(steps=40)),
    ],
)
def test_a_budget_is_seconds_or_steps(value, budget):
    assert AdaptationBudget.of(value) == budget

"""What tables call several networks."""

import logging
from pathlib import Path

import pytest

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.network_names import network_names


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/a/model.safetensors"], ["network"]),
        (
            ["runs/a/model.safetensors", "runs/b/model.safetensors"],
            ["network a", "network b"],
        ),
        (["runs/a/model.safetensors", "runs/a/best.safetensors"], ["network a", "network a best"]),
        (["w/default.safetensors", "w/small.safetensors"], ["network default", "network small"]),
        (
            ["one/a/model.safetensors", "two/a/model.safetensors", "b/model.safetensors"],
            ["network one/a", "network two/a", "network b"],
        ),
        (["w/a.safetensors", "w/a/model.safetensors"], ["network w/a.safetensors",
                                                        "network a/model.safetensors"]),
    ],
)  # fmt: skip
def test_several_networks_are_named_by_their_runs(paths, names):
    assert names == network_names([Path(path) for path in paths])


def test_names_that_would_collide_are_said(caplog):
    paths = [Path(f"{folder}/a/model.safetensors") for folder in ("one", "two")]
    with caplog.at_level(logging.INFO, "fusiontrain"):
        network_names(paths)

    assert "several weights are named a: one/a, two/a" in caplog.text


def test_one_file_twice_is_refused():
    with pytest.raises(SceneError, match="one file twice"):
        network_names([Path("runs/a/model.safetensors"), Path("runs/b/../a/model.safetensors")])

"""The tree that docs/architecture.md describes: its paths and layers."""

import re
import subprocess
import tomllib

import pytest

from tests.support.paths import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def layers(container):
    (contract,) = (
        contract
        for contract in CONTRACTS
        if contract["type"] == "layers" and contract.get("containers") == [container]
    )
    return contract


def test_every_path_that_the_architecture_names_exists():
    """Of the repository, or of the package whose table it stands in."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table, missing = "", []
    for line in text.splitlines():
        if header := re.match(r"\| `(\w+)/` \| Purpose", line):
            table = header[1]
        elif not line.startswith("|"):
            table = ""
        missing += [
            name
            for name in re.findall(r"`([\w./]+(?:\.(?:py|md)|/))`", line)
            if not (ROOT / table / name).exists() and not (ROOT / name).exists()
        ]

    assert missing == []


def test_the_architecture_names_every_package():
    """And every module at the top of fusiontrain and simgen."""
    text = (ROOT / "docs" / "architecture.md").read_text()

    for package in ("fusiontrain", "simgen"):
        for layer in layers(package)["layers"]:
            for name in re.split(r" [|:] ", layer):
                assert re.search(rf"`{name}(?:\.py|/)`", text), name


def test_top_level_of_fusiontrain():
    """Entry points, errors, and folders."""
    names = subprocess.run(
        ["git", "ls-files", "fusiontrain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    top = {name.split("/")[1] for name in names if name.count("/") == 1}

    assert top == {
        *("__init__.py", "__main__.py", "cli.py", "pretrain.py", "api.py", "hub.py"),
        *("rio_plugin.py", "errors.py"),
    }


@pytest.mark.parametrize(("package", "most"), [("fusiontrain", 10), ("simgen", 8)])
def test_few_layers_without_exceptions(package, most):
    """Every module of the package has a layer; no upward import is ignored."""
    contract = layers(package)

    assert len(contract["layers"]) <= most
    assert contract["exhaustive"]
    assert "ignore_imports" not in contract


def test_fusion_imports_nothing_of_training():
    """A contract, not only the order of the layers."""
    assert [
        contract
        for contract in CONTRACTS
        if contract["type"] == "forbidden"
        and "fusiontrain.fusion" in contract["source_modules"]
        and "fusiontrain.training" in contract["forbidden_modules"]
        and not contract.get("ignore_imports")
    ]

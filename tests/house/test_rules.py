"""Rules of the repository."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("shards", "simgen", "fusiontrain")
SOURCES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        pytest.param(["mypy"], marks=pytest.mark.slow),
        ["lint-imports", "--no-logo"],
    ],
    ids=" ".join,
)
def test_tools_find_nothing(command):
    """Style, types, and which way imports run."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_module_of_fusiontrain_hides_another_package():
    """A script in fusiontrain/ has that folder first on its path."""
    known = set(sys.stdlib_module_names) | set(packages_distributions())

    assert [
        p.name for p in (ROOT / "fusiontrain").iterdir() if p.stem in known - {"__init__"}
    ] == []


def test_files_are_named_by_what_they_hold():
    """No file for everything."""
    assert [p.name for p in SOURCES if p.stem in ("utils", "helpers", "common", "misc")] == []


def test_nothing_unpickles_or_extracts():
    """No pickle from outside, no tar unpacked."""
    banned = re.compile(
        r"import pickle|pickle\.load|torch\.load\(|\.extractall\(|\.extract\("
        r"|shell=True|\beval\([^)]"
    )

    found = [p.name for p in SOURCES if banned.search(p.read_text())]

    assert found == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "import fusiontrain",
            ["torch", "rasterio", "accelerate", "webdataset", "nvidia", "PIL", "mamba_ssm"],
        ),
        (
            "import fusiontrain.commands.fuse, fusiontrain.commands.fuse_printing",
            ["accelerate", "webdataset", "nvidia", "PIL", "datasets", "fusiontrain.training"],
        ),
        (
            "import fusiontrain.api",
            ["accelerate", "webdataset", "nvidia", "PIL", "datasets", "fusiontrain.training"],
        ),
        ("import fusiontrain.commands.fuse, fusiontrain.pretrain", ["torch", "rasterio", "rich"]),
        ("import fusiontrain.training.run", ["webdataset", "mamba_ssm", "nvidia"]),
        ("import fusiontrain.commands.view", ["torch", "rasterio", "rio_tiler", "PIL"]),
        (
            "import fusiontrain.evaluation.benchmark, fusiontrain.training.one_shot",
            ["accelerate", "webdataset", "nvidia", "h5py", "scipy"],
        ),
        ("import simgen.cli", ["torch", "nvidia", "rasterio", "accelerate"]),
        ("import shards.tar, shards.manifest", ["torch", "nvidia", "PIL", "webdataset"]),
        ("import shards.__main__", ["torch", "PIL", "fsspec", "s3fs", "aiohttp", "rich"]),
    ],
)
def test_entry_points_import_nothing_heavy(statement, absent):
    """The base install fuses scenes: what it imports must be in the base install."""
    check = f"{statement}; import sys; print([m for m in {absent} if m in sys.modules])"

    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_the_readme_names_only_targets_there_are():
    """`make X` in the README is a target of the Makefile."""
    readme, makefile = ((ROOT / name).read_text() for name in ("README.md", "Makefile"))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", readme, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    assert {"demo", "test", "shards"} <= named <= targets


# Extras that are built on the machine that uses them, against its torch and CUDA.
BUILT_BY_HAND = {"mamba-ssm", "causal-conv1d"}


def test_constraints_pin_everything_the_extras_ask_for():
    """A fresh .venv is the one that was tested."""
    pinned = {
        re.split("==", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    text = (ROOT / "pyproject.toml").read_text()
    required = re.findall(r'"([A-Za-z][A-Za-z0-9_-]+)(?:[>=]=[^"]*)"', text)
    required = {name.lower() for name in required} - {"setuptools"} - BUILT_BY_HAND

    assert required
    assert set() == required - pinned

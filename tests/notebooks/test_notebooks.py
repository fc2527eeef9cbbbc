"""The notebooks of the documentation: small, without outputs, and run from first to last cell."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
MOST_BYTES = 20_000
TIMEOUT = 900


def cells(path):
    return json.loads(path.read_text())["cells"]


def test_there_are_three():
    assert ["benchmark", "fuse", "train"] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_they_are_small_and_hold_no_output(path):
    """What a run leaves in the file would be in every diff."""
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]

    assert path.stat().st_size < MOST_BYTES
    assert code
    assert [] == [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_every_cell_runs(path, tmp_path):
    """In a folder of its own, without ../shared; training is cut to seconds."""
    if find_spec("nbclient") is None or find_spec("ipykernel") is None:
        pytest.skip("needs nbclient and ipykernel: pip install '.[notebooks]'")
    shutil.copy(path, tmp_path)
    command = [sys.executable, "-m", "jupyter", "execute", "--output", "run", f"{path.stem}.ipynb"]

    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PANPRIOR_MINUTES": "0.1"},
    )

    assert 0 == done.returncode, done.stderr[-3000:]
    code = [cell for cell in cells(tmp_path / "run.ipynb") if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    pictures = [o for cell in code for o in cell["outputs"] if "image/png" in o.get("data", {})]
    assert pictures

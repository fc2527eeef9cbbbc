"""Devices without values, memory that runs out, and a signal amid imports: one line each."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.fusion.classical_fuser import ClassicalFuser
from tests.support.geotiffs import write_pair
from tests.support.paths import ROOT


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(5)
    return write_pair(tmp_path, rng.uniform(1, 900, (1, 64, 64)), rng.uniform(1, 900, (2, 16, 16)))


@pytest.mark.parametrize("device", ["meta", "vulkan", "xla", "mps:7", "nowhere", "cuda:99"])
@pytest.mark.parametrize("method", ["net", "gsa"])
def test_a_device_that_does_no_work_is_refused(tmp_path, pair, device, method, capsys):
    out = tmp_path / "o.tif"

    assert 2 == main(["fuse", *pair, str(out), "--method", method, "--device", device])

    error = capsys.readouterr().err
    assert f"--device {device}" in error
    assert 1 == len(error.strip().splitlines())
    assert not out.exists()


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB\nmore"),
        np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("f8")),
    ],
)
@pytest.mark.parametrize("door", ["files", "arrays"])
def test_memory_that_runs_out_is_one_line(pair, door, failure, monkeypatch):
    def fuse(*_, **__):
        raise failure
        yield

    monkeypatch.setattr(ClassicalFuser, "fuse", fuse)
    inputs = pair if door == "files" else (np.ones((1, 64, 64)), np.ones((2, 16, 16)))

    with pytest.raises(SceneError, match=r"memory ran out.*`window` or `memory`") as caught:
        pansharpen(*inputs, method="exp", sensor="none", softness=0.3, register=False)
    assert "\n" not in str(caught.value)


def test_other_errors_are_not_hidden(pair, monkeypatch):
    def fuse(*_, **__):
        raise RuntimeError("a bug")
        yield

    monkeypatch.setattr(ClassicalFuser, "fuse", fuse)
    with pytest.raises(RuntimeError, match="a bug"):
        pansharpen(*pair, method="exp")


def test_a_signal_amid_imports_is_one_line(tmp_path, pair):
    """Sent while the package that is imported first waits."""
    (tmp_path / "torch.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
    )
    code = "import sys; sys.path[:0] = sys.argv[1:3]; from fusiontrain.cli import main; sys.exit(main(sys.argv[3:]))"  # noqa: E501
    call = [sys.executable, "-c", code, str(tmp_path), str(ROOT), "fuse", *pair, str(tmp_path / "o.tif")]  # noqa: E501 # fmt: skip
    process = subprocess.Popen(
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it runs in the background with SIGINT ignored, and so its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert "importing" in process.stdout.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)

    assert 130 == process.returncode, error
    assert "fusiontrain: stopped by SIGINT; nothing was written\n" == error

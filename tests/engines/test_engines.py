"""engines/: builds by Ray, a Kubernetes Job and an AWS Batch array are those of one process."""

import os
import signal
import subprocess
import sys
import time

import pytest

from shards.manifest import NAME
from simgen.cli import main
from tests.support.paths import ROOT

OPTIONS = ["--tile", "32", "--bands", "3", "--shard-size", "2"]  # four shards of eight photographs


def where(photos, out):
    return ["--dataset", "folder", "--source", str(photos), "--out", str(out)]


@pytest.fixture(scope="module")
def alone(photos, tmp_path_factory):
    """The manifest of one process."""
    out = tmp_path_factory.mktemp("alone") / "s"
    assert 0 == main(["build", *where(photos, out), *OPTIONS, "--quiet"])
    return (out / NAME).read_bytes()


def command_of(name):
    """(tasks, arguments of simgen) of a file of engines/."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML (extra train)")
    raw = yaml.safe_load((ROOT / "engines" / name).read_text())
    if name == "kubernetes.yaml":
        assert ("Job", "Indexed") == (raw["kind"], raw["spec"]["completionMode"])
        return raw["spec"]["completions"], raw["spec"]["template"]["spec"]["containers"][0]["args"]
    return raw["arrayProperties"]["size"], raw["containerOverrides"]["command"]


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("kubernetes.yaml", "JOB_COMPLETION_INDEX"),
        ("aws-batch.yaml", "AWS_BATCH_JOB_ARRAY_INDEX"),
    ],
)
def test_the_command_lines_build_what_one_process_builds(
    name, variable, photos, alone, tmp_path, monkeypatch
):
    """As they are but for places, a short wait, and four shards."""
    tasks, argv = command_of(name)
    assert str(tasks) == argv[argv.index("--task-count") + 1]
    words = where(photos, tmp_path / "s")
    given = dict(zip(words[::2], words[1::2], strict=True))
    given |= {"--start-spread": "0.01", "--workers": "1", "--task-count": "2"}
    for flag, value in given.items():
        argv[argv.index(flag) + 1] = value

    for index in range(2):
        monkeypatch.setenv(variable, str(index))
        assert 0 == main([*map(str, argv), *OPTIONS])

    assert 0 == main(["merge", str(tmp_path / "s")])
    assert alone == (tmp_path / "s" / NAME).read_bytes()


def task_process(out, index):
    """The simgen of a task, wherever Ray started it; None if there is none."""
    psutil = pytest.importorskip("psutil", reason="needs psutil, which accelerate installs")
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(out) in words and words[-6:-4] == ["--task-index", str(index)]:
            return process
    return None


@pytest.mark.slow
def test_ray_starts_a_killed_task_again(photos, alone, tmp_path):
    """A local Ray of two cores; task 1 of 2 is killed, and the build is as if it had not been."""
    pytest.importorskip("ray", reason="needs ray (extra interop)")
    out, log = tmp_path / "s", tmp_path / "log.txt"
    environ = os.environ | {
        "CORES_PER_TASK": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
    }
    script = [sys.executable, ROOT / "engines/ray_build.py", "2", *where(photos, out), *OPTIONS]
    with log.open("wb") as file:
        driver = subprocess.Popen(
            [*map(str, script), "--quiet"], env=environ, cwd=tmp_path, stdout=file, stderr=file
        )
    end = time.monotonic() + 300
    while (victim := task_process(out, 1)) is None:
        assert driver.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)

    assert 0 == driver.wait(timeout=300), log.read_text()
    assert "0 to go" in log.read_text()
    assert not victim.is_running()
    assert 0 == main(["merge", str(out)])
    assert alone == (out / NAME).read_bytes()

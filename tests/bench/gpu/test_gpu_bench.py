"""python -m bench.gpu: its steps small and on the CPU, and what it does when they fail."""

import json
import os
import sys
import time

import pytest

from bench.gpu import __main__ as program
from bench.gpu import fusing, scans, simulating, steps, training
from bench.gpu.plan import DRY, FULL, Skip, Step, claim


@pytest.fixture
def staged(monkeypatch, tmp_path):
    """(name, limit, code): steps whose processes run that code of Python instead."""
    codes = {}

    def add(name, limit, code):
        codes[name] = code
        known = [*(s for s in steps.STEPS if s.name in codes), Step(name, limit, None)]
        monkeypatch.setattr(steps, "STEPS", tuple({s.name: s for s in known}.values()))
        monkeypatch.setattr(program, "STEPS", steps.STEPS)

    real = program.subprocess.Popen

    def popen(command, **kwargs):
        name = command[command.index("--inside") + 1]
        return real([sys.executable, "-c", codes[name]], **kwargs)

    monkeypatch.setattr(program.subprocess, "Popen", popen)
    return add


def lines_of(capsys):
    *lines, last = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines], last


GOOD = """print('noise'); print('bench.gpu facts: {"result": "pass", "dn": 0.5}')"""


def test_a_failure_ends_its_step_alone(staged, capsys, tmp_path):
    """One line of JSON each, the last output of what broke, PASS n/m, an exit code."""
    staged("good", 60, GOOD)
    staged("broken", 60, "print('one'); raise SystemError('no such kernel')")
    staged("killed", 60, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    staged("last", 60, GOOD)

    code = program.main(["--dry", "--out", str(tmp_path / "out.jsonl")])

    lines, last = lines_of(capsys)
    assert 1 == code
    assert "PASS 2/4" == last
    assert ["pass", "fail", "fail", "pass"] == [line["result"] for line in lines]
    assert ["good", "broken", "killed", "last"] == [line["step"] for line in lines]
    assert 0.5 == lines[0]["dn"]
    assert "SystemError: no such kernel" in lines[1]["output"]
    assert "ended with -9" == lines[2]["why"]
    written = (tmp_path / "out.jsonl").read_text().splitlines()
    assert lines == [json.loads(line) for line in written]


def test_a_step_ends_at_its_limit_with_all_that_it_started(staged, capsys, tmp_path):
    child = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(child.pid))
time.sleep(300)
"""
    staged("slow", 3, child)
    staged("last", 60, GOOD)

    program.main([])

    lines, last = lines_of(capsys)
    assert "PASS 1/2" == last
    assert "took longer than 3 s" == lines[0]["why"]
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not alive(pid):
            break
        time.sleep(0.1)
    assert not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - of the system
            return file.read().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_the_time_of_all_is_kept(staged, capsys):
    """What there is no time for is named, not dropped."""
    staged("one", 60, "import time; time.sleep(60)")
    staged("two", 60, GOOD)

    program.main(["--seconds", "1"])

    lines, last = lines_of(capsys)
    assert ["fail", "skip"] == [line["result"] for line in lines]
    assert "no time left" == lines[1]["why"]
    assert "PASS 0/2" == last


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Skip("needs no_such"), {"result": "skip", "why": "needs no_such"}),
        (AssertionError("differs", {"dn": 3}), {"result": "fail", "why": "differs", "dn": 3}),
    ],
)
def test_what_a_step_says_of_itself(monkeypatch, capsys, error, outcome):
    def run(setting, folder):
        raise error

    monkeypatch.setattr(steps, "STEPS", (Step("one", 9, run),))
    program.run_inside("one", DRY)

    assert outcome == json.loads(capsys.readouterr().out.removeprefix("bench.gpu facts: "))


def test_all_steps_at_their_limits_are_counted_in():
    """Names once each; what a full run may take is known: under its 570 s, or cut there."""
    names = [step.name for step in steps.STEPS]

    assert len(set(names)) == len(names)
    assert all(step.limit <= 120 for step in steps.STEPS)
    assert FULL.device == "cuda"
    assert FULL.simulate_on == "gpu"


@pytest.mark.parametrize(
    "run",
    [
        simulating.pixels,
        simulating.memory,
        scans.kernels,
        fusing.whole_scene,
        training.versions,
        training.models,
        training.nccl,
    ],
    ids=lambda run: run.__name__,
)
def test_a_dry_step(run, tmp_path):
    """Its own claims hold where both sides are the CPU."""
    facts = run(DRY, tmp_path)

    json.dumps(facts)


@pytest.mark.slow
@pytest.mark.parametrize("run", [simulating.speed, training.resumed], ids=lambda run: run.__name__)
def test_a_dry_step_of_many_processes(run, tmp_path):
    facts = run(DRY, tmp_path)

    json.dumps(facts)
    assert facts.get("apart", 0) == 0  # on a CPU, bit for bit


def test_a_claim_carries_the_figures():
    with pytest.raises(AssertionError) as error:
        claim(False, "too much", {"dn": 2})

    assert ("too much", {"dn": 2}) == error.value.args

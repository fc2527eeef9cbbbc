"""Short runs of one or two ranks, started, killed and looked at from outside.

The runs are forks of one process that has imported everything (training_script.py), to save time.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fusiontrain.training.training_state import FOLDER
from tests.support.paths import ROOT

STEPS, EPOCH = 36, 6  # steps of the run, and of one pass over the build's 24 samples
SAVED = 4  # steps between states: some lie on the end of a pass (12, 24), others within one
WAIT = 300  # seconds: for what takes some, on a crowded machine


class Starter:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/support/training_script.py")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def ask(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=WAIT)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def starter():
    one = Starter()
    yield one
    one.close()


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def begin(starter, build, out, world, *more, second=(), held=(), env=None):
    """The pids of a run's ranks. They share no folder, as on machines without one.

    `second`: more options, for the second rank alone. `held`: ranks that stand still before their
    last step; else they might end before this process comes to kill them. `env`: more variables.
    """
    argv = ["pretrain", "--shards", str(build), "--crop", "16", "--batch-size", "4"]
    argv += ["--max-steps", str(STEPS), "--save-steps", str(SAVED), "--log-steps", "1"]
    argv += ["--ema-decay", "0.9", "--tracker", "none", *more]
    env = env or {}
    launch = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(world)}
    launch["ACCELERATE_USE_CPU"] = "true"
    pids = []
    for rank in range(world):
        own_env = {"RANK": str(rank), "LOCAL_RANK": "0"} | launch if world > 1 else {}
        own_env = own_env | env | ({"HELD_AFTER": str(STEPS - 1)} if rank in held else {})
        folder = f"{out}-of-{rank}" if rank else str(out)
        own = [*argv, "--out", folder, *(second if rank else ())]
        pids.append(starter.ask(argv=own, env=own_env, log=f"{out}.txt"))
    return pids


def finish(starter, build, out, world, *more, env=None):
    pids = begin(starter, build, out, world, *more, env=env)
    codes = [starter.ask(wait=pid, seconds=WAIT) for pid in pids]
    assert [0] * world == codes, Path(f"{out}.txt").read_text()[-3000:]


def last_step(out):
    """The newest step in log.csv; 0 without one."""
    try:
        text = (out / "log.csv").read_text()
    except OSError:
        return 0
    rows = [line.split(",")[0] for line in text.splitlines()[1:]]
    return max((int(row) for row in rows if row.isdigit()), default=0)


def newest_state(out):
    found = [int(p.name.removeprefix("step-")) for p in (out / FOLDER).glob("step-*")]
    return max(found, default=0)


def kill_at(starter, build, out, world, steps_on, rank, *more, env=None):
    """Start or go on; kill -9 that rank (all, where none is named) when so many steps are done."""
    log, standing = out / "log.csv", newest_state(out)
    before = log.stat().st_ino if log.exists() else None
    # The others wait for it, and see it die.
    held = range(world) if rank is None else [rank]
    pids = begin(starter, build, out, world, *more, held=held, env=env)
    target, end = min(standing + steps_on, STEPS - 3), time.monotonic() + WAIT
    # A run that goes on writes the table anew, without the rows of after its state.
    while not log.exists() or log.stat().st_ino == before or last_step(out) < target:
        assert time.monotonic() < end, Path(f"{out}.txt").read_text()[-3000:]
        time.sleep(0.001)
    for pid in pids if rank is None else [pids[rank]]:
        os.kill(pid, signal.SIGKILL)
    codes = [starter.ask(wait=pid, seconds=WAIT) for pid in pids]
    assert not {0, None} & set(codes)
    assert not (out / "model.safetensors").exists()
    return target, newest_state(out)


def columns(out, *names):
    head, *rows = [line.split(",") for line in (out / "log.csv").read_text().splitlines()]
    return [[row[head.index(name)] for name in names] for row in rows]

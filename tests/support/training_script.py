"""Starts runs by fork, so that twenty of them import torch once. A process of its own: no tests.

Reads a line of JSON for each process to start: {"argv": [...], "env": {...}, "log": file};
answers with its pid. A line {"wait": pid, "seconds": s} is answered with the exit code, negative
for a signal, or null while it runs. With HELD_AFTER in its environment a process stands still
after so many steps; with STREAM_BUFFER it shuffles so many samples.
"""

import json
import os
import sys
import time
import traceback

import torch._dynamo  # noqa: F401 - optimisers want it; imported here, once

import fusiontrain.training.run  # noqa: F401
from fusiontrain.cli import main
from fusiontrain.data import stream, stream_order
from fusiontrain.training import trainer

rate_of = trainer.learning_rate


def held_rate(config, step, done):
    """Asked for before every step."""
    if step >= int(os.environ.get("HELD_AFTER", step + 1)):
        time.sleep(600)
    return rate_of(config, step, done)


trainer.learning_rate = held_rate


def start(argv, env, log):
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.environ.update(env)
        for module in (stream, stream_order):
            module.BUFFER = int(env.get("STREAM_BUFFER", module.BUFFER))
        handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = main(argv)
    except BaseException:  # noqa: BLE001 - the forked process must end here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid, seconds):
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        answer = wait(asked["wait"], asked["seconds"])
    else:
        answer = start(asked["argv"], asked["env"], asked["log"])
    print(json.dumps(answer), flush=True)

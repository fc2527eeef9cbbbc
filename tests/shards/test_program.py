"""How a program ends: with its code, all that it printed, and what was registered for its end."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from shards.program import end_process
sys.stdout.write("printed")  # not flushed
atexit.register(lambda: print(", cleaned"))
{more}
end_process(3)
"""
WAITS = "threading.Thread(target=lambda: (time.sleep(0.2), print(', waited', end=''))).start()"
CLOSED = "sys.stdout.close(); sys.stdout = None"


def ended(more=""):
    command = [sys.executable, "-c", PROGRAM.format(more=more)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("more", "printed"), [("", "printed, cleaned\n"), (WAITS, "printed, waited, cleaned\n")]
)
def test_a_program_ends_with_all_that_it_was_to_do(more, printed):
    """A thread that still works is waited for."""
    run = ended(more)

    assert (3, printed, "") == (run.returncode, run.stdout, run.stderr)


def test_a_program_without_an_output_ends_with_its_code():
    assert 3 == ended(CLOSED).returncode

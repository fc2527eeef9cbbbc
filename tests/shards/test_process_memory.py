import platform
import subprocess
import sys

import pytest

from shards.process_memory import keep_freed_memory

PROGRAM = """
import ctypes, resource, sys
import numpy as np
from shards.process_memory import keep_freed_memory

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages hide what is counted

def use():
    np.ones(40 * 2**20, np.uint8)

if sys.argv[1] == "kept":
    assert keep_freed_memory()
for _ in range(2):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc")
def test_freed_memory_is_not_mapped_anew():
    """Five images of 40 MiB after the first: no page is mapped again."""
    faults = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("kept", "plain")
    }

    assert faults["kept"] < 100
    assert faults["plain"] > 1000


def test_another_system_is_left_alone(monkeypatch):
    """No call where the C library is not glibc."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))

    assert not keep_freed_memory()

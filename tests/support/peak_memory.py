"""The most memory that a process has held."""

from pathlib import Path


def peak_gibibytes() -> float:
    """Of this process since it began (Linux's VmHWM).

    getrusage's ru_maxrss begins at the peak of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    raise RuntimeError("expected VmHWM in /proc/self/status, found none: Linux is needed")

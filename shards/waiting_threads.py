"""How threads of OpenMP, which torch computes with, wait for one another."""

import os


def let_threads_sleep() -> None:
    """Have waiting threads sleep instead of spinning; before torch is imported.

    Where another program has a core, a thread that spins keeps the one it waits for from running:
    fusing with two threads then took ten times as long as with one. A policy that the user set
    stays. Source: GNU libgomp manual, OMP_WAIT_POLICY.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""Shards made by several processes at once."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.sharedctypes import Synchronized

from shards.signals import ignore_signals
from simgen.building.plan import Task
from simgen.building.shard_writing import Sidecar
from simgen.errors import BuildError
from simgen.simulate.gpus import use_gpu


def build_in_processes(
    tasks: Sequence[Task], workers: int, gpus: int, add: Callable[[Task, Sidecar], None]
) -> None:
    """Build these shards; `add` is called here after each. Raises: what the first worker raises,
    BuildError if one dies.
    """
    from simgen.building.shard import build_shard

    others = set(multiprocessing.active_children())
    # spawn: DALI's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)),
        mp_context=context,
        initializer=_start_worker,
        initargs=(os.getpid(), context.Value("i", 0), gpus, workers),
    )
    waiting = iter(tasks)
    running: dict[Future[Sidecar], Task] = {}

    def feed(count: int) -> None:
        for task in islice(waiting, count):
            running[pool.submit(build_shard, task)] = task

    try:
        feed(workers)  # no more than can run: what waits in the pool's own queue cannot be dropped
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                sidecar = future.result()
                feed(1)
                add(task, sidecar)
    except BaseException as error:
        for child in set(multiprocessing.active_children()) - others:
            child.kill()
            child.join()
        if isinstance(error, BrokenProcessPool):
            raise BuildError(
                "a worker process died (out of memory?); run the same command again with fewer "
                "`workers`: finished shards are kept"
            ) from error
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(parent: int, started: "Synchronized[int]", gpus: int, workers: int) -> None:
    """`started`: workers before this one; they take the GPUs in turn."""
    ignore_signals()
    if gpus:
        with started.get_lock():
            use_gpu(started.value % gpus, workers=workers)
            started.value += 1
    _die_with_parent(parent)


def _die_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

"""Encoded photographs and draws in, gt, ms and pan out.

On the CPU, DALI decodes, crops and resizes, and numpy_engine.py computes the rest in numpy, which
is several times faster there. On the GPU the DALI graph goes on to blur and decimation, and
numpy_engine.py adds noise and makes numbers, on the host, in threads while the GPU goes on; a
sample with moving objects or a local shift (DALI has no operator for these on every device)
leaves the GPU after the resize. Which way a sample goes depends on its own draw alone.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto

import numpy as np
from threadpoolctl import threadpool_limits

from shards.signals import check_signals
from simgen.config import Recipe
from simgen.simulate.dali_pipelines import can_decode, observe_in_graph, read_crops
from simgen.simulate.gpus import host_threads
from simgen.simulate.job import Arrays, DecodeError, Device, Job
from simgen.simulate.numpy_engine import finish, make
from simgen.simulate.overlap import Beside


def run(jobs: Sequence[Job], recipe: Recipe, *, device: Device, threads: int = 1) -> list[Arrays]:
    """All samples of `jobs`, in order.

    Raises: DecodeError if DALI rejects any image: a pipeline cannot skip a sample; Stopped if
    a signal came and Python dropped its exception (check_signals()).
    """
    made: dict[int, Callable[[], Arrays]] = {}
    # BLAS has one thread: sums must not depend on how many there are.
    with threadpool_limits(limits=1, user_api="blas"), Beside(host_threads(device)) as beside:
        for kind in _Kind:
            here = [i for i, job in enumerate(jobs) if _kind(job, device) is kind]
            some = [jobs[i] for i in here]
            if kind in (_Kind.ENCODED, _Kind.DECODED):
                crops = read_crops(some, device=device, threads=threads)
                for i, crop in zip(here, crops, strict=True):
                    check_signals()
                    made[i] = beside.call(make, crop, jobs[i].draw, recipe)
            else:
                seen = observe_in_graph(some, recipe, device=device, threads=threads)
                for i, images in zip(here, seen, strict=True):
                    check_signals()
                    made[i] = beside.call(finish, *images, jobs[i].draw, recipe)
        return [made[i]() for i in range(len(jobs))]


class _Kind(Enum):
    """Samples that can share a pipeline."""

    ENCODED = auto()  # by numpy_engine.py
    DECODED = auto()  # bands already; by numpy_engine.py
    WALD = auto()  # by the graph
    PHYSICAL = auto()  # by the graph


def _kind(job: Job, device: Device) -> _Kind:
    if isinstance(job.image, np.ndarray):
        return _Kind.DECODED
    if device == "cpu" or job.draw.movers or job.draw.local_shift or job.draw.guides:
        return _Kind.ENCODED
    return _Kind.PHYSICAL if job.draw.optics.physical else _Kind.WALD


__all__ = ["Arrays", "DecodeError", "Device", "Job", "can_decode", "run"]

"""DALI's pipelines: built, run over jobs, and on a GPU kept for the next ones."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from simgen.config import Recipe
from simgen.simulate import dali_graph
from simgen.simulate.dali_inputs import BATCH, Feed, decoded_row, encoded_row, graph_row
from simgen.simulate.gpus import own_gpu, refuse_gpu_fault
from simgen.simulate.job import Arrays, DecodeError, Device, Job


def read_crops(jobs: Sequence[Job], *, device: Device, threads: int = 1) -> Iterator[np.ndarray]:
    """Each job's crop on the scene grid: (h, w, 3) uint8, or float32 where bands were given."""
    if not jobs:
        return
    decoded = isinstance(jobs[0].image, np.ndarray)
    made = _run(
        dali_graph.crops,
        {"decoded": decoded},
        jobs,
        decoded_row if decoded else encoded_row,
        device=device,
        threads=threads,
    )
    yield from (crop for (crop,) in made)


def observe_in_graph(
    jobs: Sequence[Job], recipe: Recipe, *, device: Device, threads: int = 1
) -> Iterator[Arrays]:
    """observe_scene() of numpy_engine.py in DALI: float32 gt, ms, pan.

    Jobs: all of them physical or none; without movers and local shifts, which it leaves out.
    """
    if not jobs:
        return
    shapes = tuple(_shape(jobs, name) for name in ("gt", "ms", "pan"))
    hidden = any(job.draw.rows_DF.shape[0] > job.draw.bands for job in jobs)
    graph = {
        "tile": recipe.tile,
        "oversample": recipe.oversample,
        "ratio": recipe.ratio,
        "bands": jobs[0].draw.bands,
        "shapes": shapes,
        "physical": jobs[0].draw.optics.physical,
        "hidden": hidden,
    }
    made = _run(
        dali_graph.graph,
        graph,
        jobs,
        lambda job: graph_row(job, recipe, shapes, hidden=hidden),
        device=device,
        threads=threads,
    )
    yield from ((gt, ms, pan) for gt, ms, pan in made)


_TAPS = 8  # to which kernels' lengths are rounded up, so that few pipelines serve all runs


def _shape(jobs: Sequence[Job], name: str) -> tuple[int, int]:
    """(terms, taps) that hold the kernels of all samples of a run.

    Zeros stand for what a sample lacks, and change no sum. Odd stays odd, as centring needs it.
    """
    kernels = [getattr(job.draw.optics, name).shape for job in jobs]
    taps = max(shape[3] for shape in kernels)
    return max(shape[1] for shape in kernels), taps + (taps % 2 - taps) % _TAPS


def can_decode(
    image: bytes | np.ndarray, crop: tuple[int, int, int, int], *, device: Device = "cpu"
) -> bool:
    """Whether the device's own decoder takes this one image; costs a pipeline.

    Raises: BuildError where the GPU failed, not the image.
    """
    if isinstance(image, np.ndarray):
        return True

    try:
        options = _options(device, 1) | {"batch_size": 1, "prefetch_queue_depth": 1}
        pipe = dali_graph.single(image=image, crop=crop, device=device, **options)
        pipe.build()
        pipe.run()
    except RuntimeError as error:
        refuse_gpu_fault(str(error))
        return False
    return True


# Batches in flight. On a GPU the next one runs while the host finishes the samples of this one.
_DEPTH: dict[Device, int] = {"cpu": 1, "gpu": 2}


def _options(device: Device, threads: int) -> dict[str, Any]:
    return {
        "batch_size": BATCH,
        "num_threads": threads,
        "device_id": None if device == "cpu" else own_gpu(),
        "prefetch_queue_depth": _DEPTH[device],
    }


# Pipelines of this process that wait for their next jobs, latest last. Building one for a GPU
# takes what some samples take; on a CPU, where it is little, none is kept with its buffers.
_KEPT: dict[Device, int] = {"cpu": 0, "gpu": 6}
_kept: dict[Hashable, tuple[Any, Feed]] = {}


def forget_pipelines() -> None:
    """Frees what they hold of the device's memory."""
    _kept.clear()


def _run(
    graph: Callable[..., Any],
    fixed: dict[str, Any],
    jobs: Sequence[Job],
    row: Callable[[Job], list[np.ndarray]],
    *,
    device: Device,
    threads: int,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Outputs job by job, of a pipeline of graph(**fixed)."""
    options = _options(device, threads)
    key = (graph, device, *fixed.items(), *options.items())
    pipe, feed = _kept.pop(key, (None, Feed()))
    feed.give(jobs, row)
    try:
        if pipe is None:
            pipe = graph(feed=feed, device=device, **fixed, **options)
            pipe.build()
        for _ in range(0, len(jobs), BATCH):
            outputs = [out.as_cpu() for out in pipe.run()]
            yield from (
                tuple(np.array(out.at(i)) for out in outputs) for i in range(len(outputs[0]))
            )
        pipe.reset()
    except RuntimeError as error:
        refuse_gpu_fault(str(error))
        raise DecodeError(str(error)) from error
    if _KEPT[device]:
        _kept[key] = pipe, feed
        if len(_kept) > _KEPT[device]:
            del _kept[next(iter(_kept))]

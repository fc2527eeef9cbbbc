"""Batches of a dataset in order, read ahead by worker processes through shared memory."""

import multiprocessing
import signal
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import ForkServerContext
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from fusiontrain.data.crops import BatchLayout, TrainingBatch, unpack
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.errors import TrainingError
from shards.errors import ContractError, SharingError
from shards.signals import SIGNALS, ignore_signals

_PREFETCH = 4  # batches a worker is ahead


class BatchLoader:
    """From global batch `start` on, in order, without end; on `device` (default: CPU).

    `workers` processes read ahead; with none, a batch is read when it is iterated to.
    Raises while iterated: ContractError, SharingError; TrainingError where a worker has died.
    """

    def __init__(
        self,
        data: ShardBatches[Any],
        *,
        start: int,
        workers: int,
        device: torch.device | None = None,
    ) -> None:
        self.data, self.start, self.workers, self.device = data, start, workers, device

    def __iter__(self) -> Generator[TrainingBatch, None, None]:
        if self.workers:
            yield from self._from_workers()
        block = self.data.new_block()
        for k in count(self.start):
            yield unpack(self.data.read(k, block), block, self.device)

    def _from_workers(self) -> Generator[TrainingBatch, None, None]:
        loader = DataLoader(
            _SharedBatches(self.data),
            batch_size=None,
            sampler=_FromStart(self.start),
            num_workers=self.workers,
            multiprocessing_context=_forkserver(),
            worker_init_fn=_ignore_stop_signals,
            prefetch_factor=_PREFETCH,
        )
        blocks: dict[tuple[int, int], Tensor] = {}
        feed: Any = iter(loader)
        try:
            for batch in feed:
                if batch.block is not None:
                    blocks[batch.worker, batch.slot] = batch.block
                yield unpack(batch.layout, blocks[batch.worker, batch.slot], self.device)
        except (ContractError, SharingError) as error:
            kind = type(error)  # torch puts the worker's traceback before its message
            raise kind(str(error).rpartition(f"{kind.__name__}: ")[2].strip()) from None
        except (RuntimeError, OSError, EOFError) as error:  # the last two: its socket is gone
            if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
                raise
            reason = (str(error).strip() or repr(error)).splitlines()[-1]
            raise TrainingError(
                f"a reader process has ended: {reason}\n"
                "  do: look at memory and at the shards' disk; the same command goes on"
            ) from None
        finally:
            # Explicitly: where an error's traceback holds the feed, the garbage collector closes
            # its queues first, and would then wait for ever for workers, which ignore SIGTERM.
            feed._shutdown_workers()
            for worker in feed._workers:
                if worker.is_alive():
                    worker.kill()


@dataclass(frozen=True, kw_only=True, slots=True)
class _SharedBatch:
    """A batch in shared memory: the block is sent once, later named by worker and slot."""

    layout: BatchLayout
    worker: int
    slot: int
    block: Tensor | None


class _SharedBatches(Dataset[_SharedBatch]):
    """Reads into reused blocks: new shared memory costs more than reading a batch."""

    def __init__(self, data: ShardBatches[Any]) -> None:
        self.data, self.turn = data, 0
        self.blocks: list[Tensor] = []

    def __getitem__(self, k: int) -> _SharedBatch:
        worker = get_worker_info()
        # The loader requests another batch when it takes one, which is unpacked before that:
        # one block more than the worker may be ahead is enough.
        slot, self.turn = self.turn % (_PREFETCH + 1), self.turn + 1
        if fresh := slot == len(self.blocks):
            self.blocks.append(self.data.new_block().share_memory_())  # type: ignore[no-untyped-call]
        layout = self.data.read(k, self.blocks[slot])
        return _SharedBatch(
            layout=layout,
            worker=worker.id if worker else 0,
            slot=slot,
            block=self.blocks[slot] if fresh else None,
        )


def _forkserver() -> ForkServerContext:
    """Workers are forked from one process that has done the imports and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context


def _ignore_stop_signals(_: int) -> None:
    """Slurm signals all processes of a job; the trainer ends the workers once it has saved."""
    ignore_signals((*SIGNALS, signal.SIGUSR1))


class _FromStart(Sampler[int]):
    """Batch numbers from `start` on, without end."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start)

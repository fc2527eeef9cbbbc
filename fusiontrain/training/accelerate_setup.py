"""The processes of a run, as one. The only accelerate import."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list, gather_object
from torch import Tensor, distributed, nn

from fusiontrain.errors import TrainingError
from fusiontrain.training.launch_checks import refuse_lost_processes, refuse_split_launch
from shards.errors import PanpriorError

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Before the first step the others wait while one rank reads all shards through: longer than
# torch's ten minutes for GPUs. Later the watchdog ends what hangs.
_TIMEOUT = timedelta(hours=2)


class Distributed:
    """What training asks of accelerate. All ranks call every method alike."""

    def __init__(self, *, precision: str, trackers: Sequence[str], out: Path) -> None:
        """Raises: TrainingError for a launch that would train apart, fp16 without a GPU, or a
        tracker that is not installed.
        """
        for name in trackers:
            if find_spec(name) is None:
                raise TrainingError(
                    f"`tracker={name}`: the package {name} is not installed\n"
                    f"  do: pip install {name}, or choose another (log.csv is always written)"
                )
        refuse_split_launch(os.environ, gpus=torch.cuda.is_available())
        if precision == "fp16" and not torch.cuda.is_available():
            raise TrainingError(
                "`precision=fp16` needs a GPU, for its scaler and its kernels\n"
                "  do: `precision=bf16`, or no"
            )
        self.accelerator = Accelerator(
            mixed_precision=precision,
            log_with=list(trackers) or None,
            project_dir=str(out),
            kwargs_handlers=[InitProcessGroupKwargs(timeout=_TIMEOUT)],
        )
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        self.main, self.device = self.rank == 0, self.accelerator.device
        self.first_here = self.accelerator.is_local_main_process  # on this machine
        refuse_lost_processes(os.environ, self.world)
        self._trackers = tuple(trackers)
        # What ranks agree on at every step goes from host to host: no GPU is waited for.
        on_gpus = self.world > 1 and self.device.type == "cuda"
        self._hosts = distributed.new_group(backend="gloo", timeout=_TIMEOUT) if on_gpus else None
        if self.device.type == "cpu":
            # accelerate launch leaves one thread a process; the cores are ours.
            torch.set_num_threads(max(1, _cores() // self.world))

    def info(self, text: str) -> None:
        """Log a line, once for all ranks."""
        if self.main:
            logger.info("%s", text)

    def on_main(self, work: Callable[[], T]) -> T:
        """The result of `work` on the first rank, on every rank; what it raises too.

        One rank decides for all: folders may differ between machines, and a rank that stopped
        alone would leave the others waiting.
        """
        result: list[Any] = [None, None]
        if self.main:
            try:
                result[0] = work()
            except (PanpriorError, OSError) as error:
                result[1] = error
        if self.world > 1:
            result = broadcast_object_list(result)
        if result[1] is not None:
            raise result[1]
        return result[0]

    def run_on_all(self, work: Callable[[], T]) -> T:
        """`work` on every rank; where it fails on one, all stop.

        Raises: what it raised here, or TrainingError saying that it failed elsewhere.
        """
        failed: PanpriorError | OSError | None = None
        try:
            result = work()
        except (PanpriorError, OSError) as error:
            failed = error
        messages = self.gather([] if failed is None else [str(failed)])
        if failed is not None:
            raise failed
        if messages:
            raise TrainingError(f"another process cannot go on: {messages[0]}")
        return result

    def refuse_difference(self, what: str, own: str) -> None:
        """Raises: TrainingError on every rank where `own` is not the same on all."""
        if self.world > 1 and len(set(self.gather([own]))) > 1:
            raise TrainingError(
                f"the processes do not see the same {what}\n"
                "  do: give every machine the same files and the same command"
            )

    def gather(self, own: list[Any]) -> list[Any]:
        """The lists of all ranks, one after the other."""
        return list(gather_object(own)) if self.world > 1 else own

    def max(self, own: Sequence[float]) -> list[float]:
        """Of each number, the largest on any rank."""
        if self.world == 1:
            return list(own)
        values = torch.tensor(own, dtype=torch.float64)
        distributed.all_reduce(values, distributed.ReduceOp.MAX, group=self._hosts)
        return values.tolist()

    def mean(self, value: Tensor) -> Tensor:
        """Over ranks."""
        return value if self.world == 1 else self.accelerator.reduce(value, reduction="mean")

    def prepare(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """Not the loader: accelerate would split its batches a second time."""
        return self.accelerator.prepare(net, optimizer)

    def unwrap(self, net: nn.Module) -> nn.Module:
        return self.accelerator.unwrap_model(net)

    def autocast(self) -> AbstractContextManager[None]:
        return self.accelerator.autocast()

    def no_sync(self, net: nn.Module) -> AbstractContextManager[Any]:
        """No exchange of gradients while the block runs."""
        return self.accelerator.no_sync(net) if self.world > 1 else nullcontext()

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def clip(self, net: nn.Module, most: float) -> Tensor:
        """The gradients' norm over all ranks, before they are scaled down to `most`."""
        return self.accelerator.clip_grad_norm_(net.parameters(), most)

    @property
    def scaler(self) -> Any:
        """fp16's gradient scaler, or None."""
        return self.accelerator.scaler

    def start_trackers(self, facts: Mapping[str, Any], start: int) -> None:
        """Raises: TrainingError where one cannot start."""
        if not self._trackers:
            return
        # Rows after the state that a run goes on from are written again.
        kwargs = {"tensorboard": {"purge_step": start + 1}} if start else {}
        try:
            self.accelerator.init_trackers("panprior", config=dict(facts), init_kwargs=kwargs)
        except Exception as error:  # any error of an outside service
            raise TrainingError(
                f"a tracker cannot start ({', '.join(self._trackers)}): {error}\n"
                "  do: `tracker=tensorboard`, or none"
            ) from error

    def log(self, values: Mapping[str, float], step: int) -> None:
        self.accelerator.log(dict(values), step=step)

    def log_picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """(H, W, 3) bytes, to the trackers that take pictures."""
        for tracker in self.accelerator.trackers:
            if self.main and hasattr(tracker, "log_images"):
                kind = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                tracker.log_images({name: picture[None]}, step=step, **kind)

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()

    def close(self) -> None:
        self.accelerator.end_training()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

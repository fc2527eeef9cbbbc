"""The processes of a run, as one. The only accelerate import."""

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
from torch import Tensor, nn

from fusiontrain.errors import TrainingError
from fusiontrain.training.launch_checks import refuse_lost_processes, refuse_split_launch
from shards.errors import PanpriorError

T = TypeVar("T")
# Before the first step others wait while one reads all shards through: torch's ten minutes (GPUs)
# are too few. Later the watchdog ends what hangs.
_PATIENCE = timedelta(hours=2)


class Distributed:
    """What the loop asks of accelerate. Every method here is called by all ranks alike."""

    def __init__(self, *, precision: str, trackers: Sequence[str], out: Path) -> None:
        """Raises: TrainingError for a launch that would train apart, fp16 without a GPU, or a
        tracker that is not installed.
        """
        for name in trackers:
            if find_spec(name) is None:
                raise TrainingError(
                    f"--tracker {name}: the package {name} is not installed\n"
                    f"  do: pip install {name}, or choose another (log.csv is always written)"
                )
        refuse_split_launch(os.environ, gpus=torch.cuda.is_available())
        if precision == "fp16" and not torch.cuda.is_available():
            raise TrainingError(
                "--precision fp16 needs a GPU, for its scaler and its kernels\n"
                "  do: --precision bf16, or no"
            )
        self.accelerator = Accelerator(
            mixed_precision=precision,
            log_with=list(trackers) or None,
            project_dir=str(out),
            kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
        )
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes
        self.main, self.device = self.rank == 0, self.accelerator.device
        self.first_here = self.accelerator.is_local_main_process  # on this machine
        refuse_lost_processes(os.environ, self.world)
        self._trackers = tuple(trackers)
        if self.device.type == "cpu":
            # accelerate launch leaves one thread a process; the cores are ours.
            torch.set_num_threads(max(1, _cores() // self.world))

    def say(self, text: str) -> None:
        self.accelerator.print(f"fusiontrain: {text}")

    def on_main(self, work: Callable[[], T]) -> T:
        """What `work` gives on the first rank, on every rank; what it raises too.

        One rank looks and all go by it: folders may differ between machines, and a rank that
        stopped alone would leave the others waiting.
        """
        told: list[Any] = [None, None]
        if self.main:
            try:
                told[0] = work()
            except (PanpriorError, OSError) as error:
                told[1] = error
        if self.world > 1:
            told = broadcast_object_list(told)
        if told[1] is not None:
            raise told[1]
        return told[0]

    def together(self, work: Callable[[], T]) -> T:
        """`work` on every rank; where it fails on one, all stop.

        Raises: what it raised here, or TrainingError saying that it failed elsewhere.
        """
        failed: PanpriorError | OSError | None = None
        try:
            found = work()
        except (PanpriorError, OSError) as error:
            failed = error
        said = self.everything([] if failed is None else [str(failed)])
        if failed is not None:
            raise failed
        if said:
            raise TrainingError(f"another process cannot go on: {said[0]}")
        return found

    def refuse_difference(self, what: str, mine: str) -> None:
        """Raises: TrainingError on every rank where `mine` is not the same on all."""
        if self.world > 1 and len(set(self.everything([mine]))) > 1:
            raise TrainingError(
                f"the processes do not see the same {what}\n"
                "  do: give every machine the same files and the same command"
            )

    def everything(self, mine: list[Any]) -> list[Any]:
        """The lists of all ranks, one after the other."""
        return list(gather_object(mine)) if self.world > 1 else mine

    def largest(self, mine: Sequence[float]) -> list[float]:
        """Of each number, the largest on any rank."""
        if self.world == 1:
            return list(mine)
        told = torch.tensor(mine, device=self.device, dtype=torch.float64)
        return self.accelerator.gather(told[None]).amax(0).tolist()

    def mean(self, mine: Tensor) -> Tensor:
        """Over ranks."""
        return mine if self.world == 1 else self.accelerator.reduce(mine, reduction="mean")

    def prepare(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, Any]:
        """Only these: accelerate would shard our loader a second time."""
        return self.accelerator.prepare(net, optimizer)

    def bare(self, net: nn.Module) -> nn.Module:
        return self.accelerator.unwrap_model(net)

    def autocast(self) -> AbstractContextManager[None]:
        return self.accelerator.autocast()

    def apart(self, net: nn.Module) -> AbstractContextManager[Any]:
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
        # Rows of after the state that a run goes on from are written again.
        kwargs = {"tensorboard": {"purge_step": start + 1}} if start else {}
        try:
            self.accelerator.init_trackers("panprior", config=dict(facts), init_kwargs=kwargs)
        except Exception as error:  # whatever an outside service may say
            raise TrainingError(
                f"a tracker cannot start ({', '.join(self._trackers)}): {error}\n"
                "  do: --tracker tensorboard, or none"
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

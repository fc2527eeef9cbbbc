"""Refuses launches whose processes would train apart or not at all, and folders in use."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fusiontrain.errors import TrainingError
from shards.atomic_write import check_folder
from shards.locking import AlreadyLocked, file_lock

LOCK_NAME = ".lock"
# What torchrun, Slurm's and other MPIs call the number of processes.
_WORLDS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def stated_processes(environment: Mapping[str, str]) -> int | None:
    """Processes that the launcher states; None where none does."""
    stated = [environment[name] for name in _WORLDS if environment.get(name, "").isdigit()]
    return int(stated[0]) if stated else None


def refuse_split_launch(environment: Mapping[str, str], *, gpus: bool) -> None:
    """Raises: TrainingError for a launch that would run one process, or several unrelated ones."""
    stated = stated_processes(environment)
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    if (stated or 1) > 1 and not gpus and not on_cpu:
        raise TrainingError(
            f"launched as {stated} processes without GPUs, which accelerate does not know\n"
            "  do: set ACCELERATE_USE_CPU=true before torchrun"
        )
    # For several processes accelerate launch sets an address and, without GPUs, starts one.
    launched = "ACCELERATE_MIXED_PRECISION" in environment
    if stated is None and launched and environment.get("MASTER_ADDR"):
        raise TrainingError(
            "accelerate launch was to start several processes (or MASTER_ADDR is set) and has "
            "started one\n  do: ACCELERATE_USE_CPU=true torchrun --nproc-per-node N "
            "fusiontrain/pretrain.py ..., or --num_processes 1 without MASTER_ADDR"
        )
    tasks = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if stated is None and tasks.isdigit() and int(tasks) > 1:
        raise TrainingError(
            f"srun started {tasks} tasks that do not know each other\n"
            "  do: one task a node, and torchrun or accelerate launch in each "
            "(docs/guides/train.md)"
        )


def refuse_lost_processes(environment: Mapping[str, str], found: int) -> None:
    """Raises: TrainingError where the launcher's count and the processes that met differ."""
    stated = stated_processes(environment)
    if stated is not None and stated != found:
        raise TrainingError(
            f"launched as {stated} processes, but {found} found each other\n"
            "  do: start all with one torchrun or accelerate launch (docs/guides/train.md)"
        )


@contextmanager
def hold_folder(out: Path) -> Iterator[None]:
    """The run's folder, made if need be, for this run alone while the block runs.

    Raises: OutputError as check_folder; TrainingError if it cannot be made, or another process is
        at work in it.
    """
    check_folder(out)
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            held.enter_context(file_lock(out / LOCK_NAME))
        except AlreadyLocked as error:
            raise TrainingError(
                f"another process is training in {out}\n"
                "  do: wait for it, or give `out` another folder; several processes of one run "
                "need one launcher (docs/guides/train.md)"
            ) from error
        except OSError as error:
            raise TrainingError(f"cannot write to {out.absolute()}: {error.strerror}") from error
        yield  # the file stays: taking it away would free a name that others wait on

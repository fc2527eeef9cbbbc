"""The GPUs of this machine as CUDA's driver lists them, and which of them this process uses.

Asked of the driver's own library, so that neither DALI nor torch need be loaded to know.
"""

import ctypes
import os
import re

from simgen.errors import BuildError
from simgen.simulate.job import Device

_LEAST_DRIVER = 13000  # CUDA 13.0, as the package nvidia-dali-cuda130 needs it: driver 580
_NO_IMAGE = re.compile(
    r"CUDA (?:runtime|driver) API error|CUDA allocation failed|CUDA is not available|cudaError"
    r"|CUDA_ERROR|out of memory|bad_alloc|libcuda|NVJPEG_STATUS_(?:ALLOCATOR_FAILURE|ARCH_MISMATCH)"
    # nvimgcodec.h: allocator failure, architecture mismatch, missed dependencies, CUDA call error
    r"|nvImageCodec failure: '#(?:5|7|10|15|16|21)'"
)
_NO_MEMORY = re.compile(
    r"allocation failed|MemoryAllocation|OUT_OF_MEMORY|out of memory|bad_alloc|ALLOCATOR_FAILURE"
    r"|'#(?:5|15)'"
)
_own, _workers = 0, 1


def count_gpus() -> int:
    """GPUs that CUDA lets this process use: at least 1.

    Raises: BuildError without a driver, with one that is too old, or without a GPU.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise BuildError(
            f"`device=gpu` needs NVIDIA's driver, which is not here: {error}\n"
            "  do: `device=cpu`, or install the driver (docs/guides/gpu.md)"
        ) from error
    status, count, version = driver.cuInit(0), ctypes.c_int(0), ctypes.c_int(0)
    if status == 0:
        driver.cuDriverGetVersion(ctypes.byref(version))
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status != 0 or count.value < 1:
        raise BuildError(
            f"`device=gpu`: CUDA finds no GPU here (status {status} of its driver)\n"
            "  do: `device=cpu`, or look at nvidia-smi, CUDA_VISIBLE_DEVICES and, under Slurm, "
            "at --gres=gpu:1"
        )
    if version.value < _LEAST_DRIVER:
        have, least = (f"{v // 1000}.{v % 1000 // 10}" for v in (version.value, _LEAST_DRIVER))
        raise BuildError(
            f"`device=gpu`: the driver is for CUDA {have}; DALI needs {least}\n"
            "  do: install driver 580 or newer, or `device=cpu`"
        )
    return count.value


def use_gpu(index: int, *, workers: int = 1) -> None:
    """Every pipeline of this process, one of so many on this machine, runs on that GPU."""
    global _own, _workers
    _own, _workers = index, workers


def own_gpu() -> int:
    """The GPU of this process, 0 unless use_gpu() chose another."""
    return _own


def host_threads(device: Device) -> int:
    """Threads for the host's work beside a GPU: this process's share of the cores.

    0 for the CPU, where a process has one core, and its work is all there is.
    """
    if device == "cpu":
        return 0
    return max(1, len(os.sched_getaffinity(0)) // _workers)


def refuse_gpu_fault(message: str) -> None:
    """Raises: BuildError if DALI's message is of the GPU or its driver, and of no image."""
    if not _NO_IMAGE.search(message):
        return
    if _NO_MEMORY.search(message):
        raise BuildError(
            f"GPU {_own} has too little memory: {_last(message)}\n"
            "  do: run the same command again with fewer `workers` a GPU, or without other "
            "programs on it; finished shards are kept"
        )
    raise BuildError(
        f"GPU {_own} or its driver failed: {_last(message)}\n"
        "  do: look at nvidia-smi; the same command goes on, finished shards are kept"
    )


def _last(message: str) -> str:
    """The line of DALI's message that says what happened."""
    lines = [line.strip() for line in message.splitlines()]
    return next((line for line in lines if _NO_IMAGE.search(line)), lines[-1])

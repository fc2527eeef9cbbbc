"""Sizes of the steps, in full on a GPU or small on the CPU, and how a step ends otherwise."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Skip(Exception):
    """A step that cannot run here: without its package or its device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Where a step runs, and how much of it."""

    device: str  # torch's name
    simulate_on: str  # simgen's name
    side: int  # PAN pixels of the fused scene
    photographs: int
    workers: tuple[int, ...]
    draws: int
    pipelines: int  # built one after another
    steps: int  # of a training run
    models: tuple[str, ...]  # (): all
    precisions: tuple[str, ...]
    lengths: tuple[int, ...]  # tokens of a scan
    tests: str  # what pytest selects


FULL = Setting(
    device="cuda",
    simulate_on="gpu",
    side=4096,
    photographs=64,
    workers=(1, 4, 16),
    draws=16,
    pipelines=50,
    steps=40,
    models=(),
    precisions=("no", "bf16", "fp16"),
    lengths=(1, 300, 4096, 70_000),
    tests="gpu",
)
DRY = Setting(
    device="cpu",
    simulate_on="cpu",
    side=256,
    photographs=2,
    workers=(1, 2),
    draws=2,
    pipelines=3,
    steps=4,
    models=("anyband", "pnn"),
    precisions=("no", "bf16"),
    lengths=(1, 60),
    tests="gpu and not gpu",
)


@dataclass(frozen=True, slots=True)
class Step:
    """`run` returns facts. It raises Skip, or AssertionError(why, facts) where it does not pass."""

    name: str
    limit: float  # seconds
    run: Callable[[Setting, Path], dict[str, Any]]


def need(*modules: str) -> None:
    """Raises: Skip where one of them is not installed."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise Skip(f"needs {name}: {error}") from error


def need_device(setting: Setting) -> None:
    """Raises: Skip without torch, or without the GPU that the setting is for."""
    need("torch")
    import torch

    if setting.device == "cuda" and not torch.cuda.is_available():
        raise Skip("torch finds no CUDA device")


def claim(holds: bool, why: str, facts: dict[str, Any]) -> None:
    """Raises: AssertionError with the facts."""
    if not holds:
        raise AssertionError(why, facts)

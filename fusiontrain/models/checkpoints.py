"""Checkpoints: one safetensors file with the weights, the model's name and its sizes. No pickle."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from fusiontrain.errors import CheckpointError, UnknownModel
from fusiontrain.models.registry import build_model
from fusiontrain.models.target import Target
from shards.atomic_write import whole_file
from shards.bounded_reading import parse_json

FORMAT = "panprior-checkpoint"
VERSION = 1
SUFFIX = ".safetensors"
_MAX_BYTES = 2**32
_MAX_HEADER = 2**22  # bytes; that of our largest network takes 40 kB
_MAX_SIZE = 4096  # largest width, depth, ... that a checkpoint may name
_MAX_WEIGHT = 1e6  # trained weights stay far below; what a flipped exponent bit makes does not
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointInfo:
    """A checkpoint's metadata."""

    model: str  # name in models/registry.py
    sizes: dict[str, int]  # keyword arguments of `build_model`
    training: dict[str, Any]  # recipe, manifest digest, steps, ...

    @property
    def target(self) -> Target:
        """What the weights were trained to give; those of before there were two do not state it."""
        config = self.training.get("config")
        stated = config.get("target") if isinstance(config, dict) else None
        return "scene" if stated == "scene" else "sensor"


def save_checkpoint(path: Path, net: nn.Module, info: CheckpointInfo) -> None:
    """Write weights and metadata atomically."""
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "model": info.model,
        "sizes": json.dumps(info.sizes, sort_keys=True),
        "training": json.dumps(info.training, sort_keys=True),
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    with whole_file(path) as file:
        file.write(_ordered(save(tensors, metadata)))


def _ordered(data: bytes) -> bytes:
    """The same file with a sorted header, so that equal weights are equal bytes.

    safetensors writes metadata in random order. Tensor offsets are relative to the header's end.
    """
    size = int.from_bytes(data[:8], "little")
    unsorted = json.loads(data[8 : 8 + size])
    header = json.dumps(
        unsorted, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def load_checkpoint(path: Path, *, expect: str | None = None) -> tuple[nn.Module, CheckpointInfo]:
    """The network in evaluation mode, and the checkpoint's metadata.

    Raises: CheckpointError if the file does not exist, is a pickle, is damaged, is of another
            model than `expect`, or does not hold the tensors of the model it names: their
            names, shapes and kinds, with finite values.
    """
    _check_format(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            info = _read_info(path, metadata)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; copy it again") from error
    if expect is not None and info.model != expect:
        raise CheckpointError(
            f"{path} holds weights of {info.model!r}; expected {expect!r}: "
            "drop `model` or give that model's checkpoint"
        )
    try:
        # No memory and bounded time: the sizes are not checked yet.
        with torch.device("meta"), _few_parameters(4 * len(state) + 64):
            shapes = build_model(info.model, **info.sizes)
    except (UnknownModel, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} names model {info.model!r} with sizes {info.sizes}: {error}"
        ) from error
    _check_tensors(path, info, shapes, {name: tuple(t.shape) for name, t in state.items()})
    for name, value in shapes.state_dict().items():
        _check_values(path, name, state[name], value)
    net = build_model(info.model, **info.sizes)
    net.load_state_dict(state)
    return net.eval(), info


def read_info(path: Path) -> CheckpointInfo:
    """The metadata alone; the tensors stay unread. Raises: CheckpointError, as load_checkpoint."""
    _check_format(path)
    try:
        with safe_open(path, framework="pt") as file:
            return _read_info(path, file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; copy it again") from error


def _check_format(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; expected a {SUFFIX} file")
    if path.stat().st_size > _MAX_BYTES:
        raise CheckpointError(f"{path} is over {_MAX_BYTES} bytes; our models are far smaller")
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:9] == b"{":  # JSON header after eight bytes of length: safetensors
        length = int.from_bytes(head[:8], "little")
        if length > _MAX_HEADER:
            raise CheckpointError(
                f"{path} is damaged: its header claims {length} bytes; expected at most "
                f"{_MAX_HEADER}; copy it again"
            )
        return
    if head[:2] == b"PK" or head[:1] == b"\x80":
        raise CheckpointError(
            f"{path} is a pickle (.pt, .pth): loading one can run any code, so it is refused; "
            f"expected a {SUFFIX} file written by fusiontrain"
        )
    raise CheckpointError(f"{path} is no safetensors file; expected one written by fusiontrain")


def _read_info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a safetensors file of another program; expected one written by "
            f"fusiontrain (metadata format={FORMAT!r})"
        )
    if metadata.get("version") != str(VERSION):
        raise CheckpointError(
            f"{path} has checkpoint version {metadata.get('version')}; expected {VERSION}"
        )
    try:
        sizes = {str(k): int(v) for k, v in parse_json(metadata["sizes"]).items()}
        if not all(1 <= size <= _MAX_SIZE for size in sizes.values()):
            raise ValueError(f"sizes outside 1..{_MAX_SIZE}: {sizes}")
        training = dict(parse_json(metadata["training"]))
        return CheckpointInfo(model=metadata["model"], sizes=sizes, training=training)
    except (KeyError, ValueError, AttributeError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{path} has broken metadata: {error!r}") from error


def _check_tensors(
    path: Path, info: CheckpointInfo, net: nn.Module, shapes: dict[str, tuple[int, ...]]
) -> None:
    expected = {name: tuple(t.shape) for name, t in net.state_dict().items()}
    if shapes != expected:
        equal = {k for k in shapes if shapes[k] == expected.get(k)}
        wrong = sorted({*shapes, *expected} - equal)
        raise CheckpointError(
            f"{path} does not hold the tensors of {info.model!r} {info.sizes}; "
            f"{len(wrong)} differ, first {wrong[0]!r}: "
            f"expected {expected.get(wrong[0])}, got {shapes.get(wrong[0])}\n"
            "  do: if another version of panprior wrote it, use that one, or train anew "
            "(`out`: another folder)"
        )


def _check_values(path: Path, name: str, value: Tensor, expected: Tensor) -> None:
    allowed = _FLOATS if expected.is_floating_point() else (expected.dtype,)
    if value.dtype not in allowed:
        kinds = " or ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
        raise CheckpointError(
            f"{path}: {name!r} is {str(value.dtype).removeprefix('torch.')}; expected {kinds}: "
            "quantised weights are not read"
        )
    if not value.is_floating_point() or not value.numel():
        return
    if not bool(value.isfinite().all()):
        raise CheckpointError(
            f"{path}: {name!r} has values that are not finite; expected numbers\n"
            "  do: copy the file again, or take a checkpoint from before the run diverged"
        )
    if (largest := float(value.abs().max())) > _MAX_WEIGHT:
        raise CheckpointError(
            f"{path}: {name!r} has a value of {largest:.3g}; expected weights up to "
            f"{_MAX_WEIGHT:g}\n  do: copy the file again, or train anew"
        )


@contextmanager
def _few_parameters(most: int) -> Iterator[None]:
    """RuntimeError where a network that this thread builds has more parameters."""
    here, count = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, value: nn.Parameter) -> None:  # noqa: ARG001
        nonlocal count
        count += threading.get_ident() == here
        if count > most:
            raise RuntimeError(f"that is more than the {most} tensors that its file explains")

    handle = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()

"""float32 as float32: blocks without autocast, and on GPUs without TF32.

TF32 keeps ten bits of a factor's mantissa, and torch uses it in convolutions by default:
DN of 11 and more bits then lose their last one. What is physics runs in full precision, and so do
fusing and validation; a training run chooses for its network.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

_Setting = tuple[Any, str, Any, Any]  # object, attribute, value without TF32, value with it


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """A block without autocast and without TF32."""
    if torch.compiler.is_compiling():  # a graph has no global settings
        return torch.autocast(device.type, enabled=False)
    return _full_precision(device)


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """A block with or without TF32 in convolutions and matrix products; no effect on CPUs."""
    settings = _settings()
    before = [getattr(where, name) for where, name, _, _ in settings]
    for where, name, without, with_it in settings:
        setattr(where, name, with_it if allowed else without)
    try:
        yield
    finally:
        for (where, name, _, _), value in zip(settings, before, strict=True):
            setattr(where, name, value)


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    with torch.autocast(device.type, enabled=False), tf32(allowed=False):
        yield


def _settings() -> list[_Setting]:
    """Torch's switches; those of torch 2.9 on where a program has used them already."""
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    try:
        _ = cudnn.allow_tf32, matmul.allow_tf32
    except RuntimeError:  # torch refuses to read the old ones then
        return [(part, "fp32_precision", "ieee", "tf32") for part in (cudnn.conv, matmul)]
    return [(part, "allow_tf32", False, True) for part in (cudnn, matmul)]

"""Numpy arrays in the place of tensors, for every index."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from fusiontrain.errors import MetricError, ShapeError

P = ParamSpec("P")
R = TypeVar("R")


def takes_arrays(index: Callable[P, R]) -> Callable[P, R]:
    """The index, with arrays as tensors. Raises: ShapeError for what is neither."""
    signature = inspect.signature(index)
    images = [n for n, p in signature.parameters.items() if "Tensor" in str(p.annotation)]

    @wraps(index)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        for name in images:
            if bound.arguments.get(name) is not None:
                bound.arguments[name] = _as_tensor(bound.arguments[name], name)
        return index(*bound.args, **bound.kwargs)

    return call


def _as_tensor(image: Any, name: str) -> Tensor:
    if isinstance(image, Tensor):
        return image
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "buif":
        kind = getattr(image, "dtype", type(image).__name__)
        raise ShapeError(f"{name} must be a tensor or an array of numbers; got {kind}")
    if np.ma.is_masked(image):
        raise MetricError(f"{name} is a masked array: give its data, and valid= for its mask")
    if image.dtype.kind in "ui" or image.dtype.itemsize > 8:
        image = image.astype(np.float64)
    return torch.from_numpy(np.array(np.ma.getdata(image), dtype=image.dtype.newbyteorder("=")))

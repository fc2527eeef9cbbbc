"""Arguments of pansharpen() beside FusionOptions: of any kind as given, then as they are held."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import use_threads
from fusiontrain.fusion.option_limits import (
    DTYPES,
    MAX_THREADS,
    flag,
    is_number,
    is_whole,
    is_word,
    shown,
)
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.scenes.output_formats import FORMATS
from fusiontrain.scenes.raster import EVERY_VALUE, Nodata
from fusiontrain.scenes.value_scaling import Scale


@dataclass(frozen=True)
class Call:
    """What one call asks for beside its images. Raises: SceneError naming the parameter."""

    options: FusionOptions
    bands: Any  # tuple[int, ...], once made
    dtype: np.dtype | None  # None: the MS's
    scale: Scale | None
    given_nodata: Nodata
    threads: int | None
    keep_guides: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", bands_of(self.bands))
        object.__setattr__(self, "dtype", dtype_of(self.dtype))
        object.__setattr__(self, "given_nodata", nodata_of(self.given_nodata))
        object.__setattr__(self, "threads", threads_of(self.threads))
        object.__setattr__(self, "keep_guides", flag("keep_guides", self.keep_guides))

    @property
    def workers(self) -> int:
        return use_threads(self.threads)

    @property
    def nodata(self) -> float | None:
        """The value that marks missing pixels, where one does."""
        return None if self.given_nodata == EVERY_VALUE else self.given_nodata


@dataclass(frozen=True)
class Files:
    """What one call asks for of files, as in pansharpen. Raises: SceneError."""

    out: Any  # Path or None, once made
    bbox: tuple[float, float, float, float] | None
    assume_aligned: bool
    match: bool
    format: str | None
    creation_options: Any  # dict[str, str], once made

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", path_of("out", self.out))
        object.__setattr__(self, "bbox", bbox_of(self.bbox))
        if self.format is not None and not is_word(self.format, FORMATS):
            raise SceneError(f"`format` is {', '.join(FORMATS)}; got {shown(self.format)}")
        for name in ("assume_aligned", "match"):
            object.__setattr__(self, name, flag(name, getattr(self, name)))
        object.__setattr__(self, "creation_options", creation_options_of(self.creation_options))


def softness_of(value: Any) -> Any:
    """What FusionOptions takes, and refuses: None for "auto", as the command has it."""
    return None if isinstance(value, str) and value == "auto" else value


def path_of(name: str, value: Any) -> Path | None:
    """Raises: SceneError unless a path or None."""
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise SceneError(f"`{name}` is a path or a name; got {shown(value)}")
    return Path(value)


def bands_of(value: Any) -> tuple[int, ...]:
    """Numbers from 1; (): all. Raises: SceneError."""
    numbers = () if value is None else _listed(value, is_whole)
    if numbers is None:
        raise SceneError(f"`bands` is numbers from 1, as in (3, 2, 1); got {shown(value)}")
    return tuple(map(int, numbers))


def bbox_of(value: Any) -> tuple[float, float, float, float] | None:
    """Raises: SceneError unless None or four numbers."""
    if value is None:
        return None
    numbers = _listed(value, is_number)
    if numbers is None or len(numbers) != 4:
        raise SceneError(f"`bbox` is four numbers (left, bottom, right, top); got {shown(value)}")
    left, bottom, right, top = map(float, numbers)
    return left, bottom, right, top


def dtype_of(value: Any) -> np.dtype | None:
    """None: the MS's. "Byte" is GDAL's, as in the command. Raises: SceneError."""
    if value is None:
        return None
    if isinstance(value, str) and value.lower() in (*DTYPES, "byte"):
        return np.dtype(value.lower().replace("byte", "uint8"))
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.name not in (*DTYPES, "float16"):
        raise SceneError(f"`dtype` is one of {', '.join(DTYPES)}; got {shown(value)}")
    return dtype


def nodata_of(value: Any) -> Nodata:
    """Raises: SceneError unless None, a number or EVERY_VALUE."""
    if value is None or (isinstance(value, str) and value == EVERY_VALUE):
        return value
    if not is_number(value):
        raise SceneError(
            f'`nodata` is a number, or "{EVERY_VALUE}": every value is data; got {shown(value)}'
        )
    return int(value) if is_whole(value) else float(value)


def threads_of(value: Any) -> int | None:
    """None: as many as torch has. Raises: SceneError unless that or 1 to MAX_THREADS."""
    if value is None:
        return None
    if not is_whole(value) or not 1 <= value <= MAX_THREADS:
        raise SceneError(f"`threads` is a number from 1 to {MAX_THREADS}; got {shown(value)}")
    return int(value)


def creation_options_of(value: Any) -> dict[str, str]:
    """GDAL's, by name. Raises: SceneError unless a mapping of text or numbers, or None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(text, (str, int, float)) for key, text in value.items()
    ):
        raise SceneError(
            f'`creation_options` is GDAL\'s by name, as {{"COMPRESS": "LZW"}}; got {shown(value)}'
        )
    return {key: str(text) for key, text in value.items()}


def _listed(value: Any, fits: Callable[[Any], bool]) -> Sequence[Any] | None:
    """Its members; None unless it is a list, tuple or array of what fits."""
    if not isinstance(value, (list, tuple, range, np.ndarray)):
        return None
    members = [*value]
    return members if all(map(fits, members)) else None

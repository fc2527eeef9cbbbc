"""Arrays as scenes: PAN or guides, and MS, numpy (masked) or tensors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.dn_factor import dn_factor
from fusiontrain.imaging.masks import pan_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.guided_scene import GUIDES, GuidedArrays, GuidedScene
from fusiontrain.scenes.huge_values import check_huge
from fusiontrain.scenes.labelled_arrays import is_labelled, marks_of, masked_by
from fusiontrain.scenes.missing_values import no_data_in
from fusiontrain.scenes.output_values import output_nodata, pair_nodata
from fusiontrain.scenes.raster import band_means, sample_windows
from fusiontrain.scenes.scene import NO_DATA, Scene


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayPair:
    """PAN or guides, and MS, as masked arrays (C, H, W)."""

    pan: Any
    ms: Any
    marks: tuple[float | None, float | None]  # of PAN and of MS, beside NaN
    masked: bool  # one of them was a masked array, so the output is one

    def nodata(self, dtype: np.dtype, given: float | None) -> float | None:
        """What missing pixels of the output get. Raises: SceneError as output_nodata."""
        if given is None and dtype.kind == "f" and self.marks == (None, None):
            return math.nan
        found = pair_nodata(*self.marks, self.pan.dtype, self.ms.dtype)
        return output_nodata(found, dtype, given)[0]


def array_pair(pan: Any, ms: Any, *, every_value: bool = False) -> ArrayPair:
    """Arrays, tensors, DataArrays or lists of them. `every_value`: none marks missing pixels.

    Raises: SceneError unless they hold numbers.
    """
    images, marks = [], []
    for name, image in (("PAN", pan), ("MS", ms)):
        array = _as_array(image, name, every_value=every_value)
        array = array[None] if array.ndim == 2 else array
        if array.ndim != 3 or array.dtype.kind not in "uif" or 0 in array.shape:
            raise SceneError(f"{_expected(name)}; got {array.dtype} {array.shape}")
        images.append(array)
        marks.append(_mark(image, name, every_value=every_value))
    return ArrayPair(
        pan=images[0],
        ms=images[1],
        marks=(marks[0], marks[1]),
        masked=any(np.ma.isMaskedArray(image) for image in (*_listed(pan), *_listed(ms))),
    )


def _as_array(image: Any, name: str, *, every_value: bool) -> Any:
    """A masked array of it, or of what it lists."""
    if isinstance(image, Tensor):
        return np.ma.asanyarray(_of_tensor(image, name))
    if is_labelled(image):
        marks = () if every_value else marks_of(image, name)
        return np.ma.asanyarray(masked_by(image.values, marks))
    if isinstance(image, (list, tuple)) and any(
        isinstance(part, Tensor) or is_labelled(part) for part in image
    ):
        image = [_as_array(part, name, every_value=every_value) for part in image]
    try:
        return np.ma.asanyarray(image)
    except (TypeError, ValueError, RuntimeError) as error:  # of parts that differ in shape, say
        why = str(error).splitlines()[0]
        raise SceneError(f"{_expected(name)}; got {type(image).__name__}: {why}") from error


def _of_tensor(image: Tensor, name: str) -> np.ndarray:
    """Its values, of whatever device, without its gradient; numpy has no bfloat16."""
    try:
        return (image.float() if image.dtype == torch.bfloat16 else image).numpy(force=True)
    except (TypeError, NotImplementedError):
        got = f"{image.dtype}, {image.layout}, on {image.device}"
        raise SceneError(f"{_expected(name)}; got a tensor of {got}") from None


def _mark(image: Any, name: str, *, every_value: bool) -> float | None:
    """What its missing pixels have: by the attrs of a DataArray, or in a masked array."""
    first = _listed(image)[0]
    if is_labelled(first):
        marks = () if every_value else marks_of(first, name)
        return marks[0] if marks else None
    if np.ma.isMaskedArray(first) and first.fill_value != np.ma.array(0, first.dtype).fill_value:
        return float(first.fill_value)  # set, as rasterio sets the file's nodata
    return None


def _expected(name: str) -> str:
    return f"{name} must be numbers (C, H, W), of an integer or float dtype"


def _listed(image: Any) -> Sequence[Any]:
    return image if isinstance(image, (list, tuple)) else [image]


def picked_bands(ms: Any, bands: Sequence[int]) -> Any:
    """Some bands of (C, h, w), from 1; (): all. Raises: SceneError if there is no such band."""
    if not bands:
        return ms
    if not all(1 <= band <= len(ms) for band in bands):
        raise SceneError(f"bands go from 1 to {len(ms)}; got {[*bands]}")
    return ms[[band - 1 for band in bands]]


def scene_of_arrays(pan: Any, ms: Any, nodata: float | None) -> Scene:
    """Raises: SceneError as Scene."""
    pan_data, ms_data, valid = _filled_pair(pan, ms, nodata)
    return Scene(name="arrays", ms=ms_data, pan=pan_data, valid=valid)


def guided_scene_of_arrays(
    guides: Any, ms: Any, nodata: float | None, *, bands: Sequence[int], keep_guides: bool
) -> GuidedScene:
    """`bands`: of the MS, or of guides and MS where these are kept. Raises: SceneError."""
    listed = [(0, band) for band in range(len(ms))]
    if keep_guides:
        listed = [*((GUIDES, band) for band in range(len(guides))), *listed]
    if not all(1 <= band <= len(listed) for band in bands):
        raise SceneError(f"bands go from 1 to {len(listed)}; got {[*bands]}")
    chosen = [listed[band - 1] for band in bands] if bands else listed
    fused = list(dict.fromkeys(band for group, band in chosen if group != GUIDES))
    if not fused:
        raise SceneError("`bands` names guides alone; expected a band that is to be fused")
    guide_data, ms_data, valid = _filled_pair(guides, ms[fused], nodata)
    order = tuple((group, band if group == GUIDES else fused.index(band)) for group, band in chosen)
    arrays = GuidedArrays(ms=ms_data, guides=guide_data, valid=valid)
    factor = dn_factor(float(guide_data.abs().max()))
    return GuidedScene(groups=(arrays,), order=order, factor=factor)


def _filled_pair(pan: Any, ms: Any, nodata: float | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """PAN, MS, and (H, W) bool: where both have data; None: everywhere."""
    pan_data, pan_valid = _filled("PAN", pan, nodata)
    ms_data, ms_valid = _filled("MS", ms, nodata)
    ratio = max(1, pan_data.shape[-1] // ms_data.shape[-1])
    valid = None
    if pan_valid.shape == tuple(side * ratio for side in ms_valid.shape):
        valid = pan_valid & pan_valid_mask(ms_valid, ratio)
        valid = None if bool(valid.all()) else valid
    return pan_data, ms_data, valid


def _filled(name: str, image: Any, nodata: float | None) -> tuple[Tensor, Tensor]:
    """(C, h, w) float32, missing pixels at their band's typical value; (h, w) bool."""
    data = torch.from_numpy(np.ascontiguousarray(np.ma.getdata(image), dtype=np.float32))
    hidden = torch.from_numpy(np.ma.getmaskarray(image).copy())
    if nodata is not None and not math.isnan(nodata):
        hidden |= data == torch.tensor(nodata, dtype=data.dtype)
    # 0 is a reading too, of shade or water: as in a file it hides a pixel where all bands have it.
    valid = torch.isfinite(data).all(0) & ~hidden.all(0) & ~(hidden & (data != 0)).any(0)
    if not bool(valid.any()):
        raise SceneError(f"{NO_DATA}{no_data_in(name, torch.isfinite(data) & ~hidden)}")
    check_huge(name, data, valid)

    def read(box: Box) -> tuple[Tensor, Tensor]:
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        return data[:, rows, columns], valid[rows, columns]

    fill = band_means(*sample_windows(data.shape[1], data.shape[2], read))
    return torch.where(valid, data, fill[:, None, None]), valid

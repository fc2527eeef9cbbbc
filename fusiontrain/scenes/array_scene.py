"""Arrays as scenes: PAN or guides, and MS, numpy (masked) or tensors."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.masks import pan_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.dn_size import dn_factor
from fusiontrain.scenes.guided_scene import GUIDES, GuidedArrays, GuidedScene
from fusiontrain.scenes.huge_values import check_huge
from fusiontrain.scenes.raster import band_means, sample_windows
from fusiontrain.scenes.scene import Scene


def checked_arrays(pan: Any, ms: Any) -> tuple[Any, Any]:
    """Both as masked arrays (C, H, W). Raises: SceneError unless they hold numbers."""
    images = np.ma.asanyarray(pan), np.ma.asanyarray(ms)
    pan, ms = (image[None] if image.ndim == 2 else image for image in images)
    for name, image in (("PAN", pan), ("MS", ms)):
        if image.ndim != 3 or image.dtype.kind not in "uif" or 0 in image.shape:
            raise SceneError(
                f"{name} must be numbers (C, H, W), of an integer or float dtype; "
                f"got {image.dtype} {image.shape}"
            )
    return pan, ms


def picked_bands(ms: Any, bands: Sequence[int]) -> Any:
    """Some bands of (C, h, w), from 1; (): all. Raises: SceneError if there is no such band."""
    if not bands:
        return ms
    if not all(1 <= band <= len(ms) for band in bands):
        raise SceneError(f"bands go from 1 to {len(ms)}; got {[*bands]}")
    return ms[[band - 1 for band in bands]]


def nodata_of_arrays(nodata: float | None, dtype: np.dtype) -> float | None:
    """What missing pixels of the output get: NaN in floats where nothing is given."""
    return math.nan if nodata is None and dtype.kind == "f" else nodata


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
    check_huge(name, data, valid)

    def read(box: Box) -> tuple[Tensor, Tensor]:
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        return data[:, rows, columns], valid[rows, columns]

    fill = band_means(*sample_windows(data.shape[1], data.shape[2], read))
    return torch.where(valid, data, fill[:, None, None]), valid

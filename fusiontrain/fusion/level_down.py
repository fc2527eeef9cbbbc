"""A scene with guides one level down, where the MS is the truth: where a correction is fitted."""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.fusion.memory_plan import make_plan
from fusiontrain.fusion.network_fuser import NetworkFuser
from fusiontrain.fusion.pan_of_guides import PanOfGuides
from fusiontrain.fusion.sensor_model import SensorModel, fullest_window
from fusiontrain.fusion.window_loop import assemble
from fusiontrain.imaging.filters import degrade, upsample
from fusiontrain.imaging.level_correction import (
    GuidedImages,
    LevelCorrection,
    LevelMoments,
    Scales,
    fit_correction,
    level_moments,
    moment_bytes,
)
from fusiontrain.imaging.masks import eroded, ms_valid_mask
from fusiontrain.imaging.shift_estimation import NO_SHIFT, shift_image
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.guided_scene import GuidedArrays
from fusiontrain.scenes.scene import Window

_WINDOWS = 3  # an axis, of a scene larger than one
_GUIDE_SIDE = 384  # guide pixels a side of a window, and more for large ratios
_LEAST_DOWN = 8  # MS pixels a side one level down
_MOST_DOWN = 32  # at large ratios
_EDGE = 4  # MS pixels of the lower level that a window's border spoils
_LEAST_VALID = 0.5  # of a window


@torch.inference_mode()
def estimate_correction(
    scene: PanOfGuides,
    fuser: NetworkFuser,
    sensor_model: SensorModel,
    *,
    mtf: Tensor,
    guide_gain: float,
    memory: float,
) -> LevelCorrection | None:
    """What corrects the bands that `fuser` gives; None where the scene cannot say or none gains.

    mtf: (C,) gains of the MS relative to the guides; guide_gain: the guides' MTF at their own
    Nyquist; memory: GiB for windows.
    """
    of_guides, of_ms = gains_down(mtf, guide_gain, scene.ratio)
    if moment_bytes(len(scene.fit.guide_mean), scene.bands) > memory * 2**30 / 2:
        return None
    total: LevelMoments | None = None
    scales = Scales(
        guide_mean=scene.fit.guide_mean,
        guide_std=scene.fit.guide_std,
        band_mean=scene.fit.pan(scene.fit.guide_mean[:, None, None])[:, 0, 0],
    )
    for window, origin in _windows(scene):
        lower = _level_down(scene, window, of_guides, of_ms)
        plan = make_plan(lower, fuser, memory=memory)
        fused = assemble(lower, fuser.fuse(lower, sensor_model, plan))
        read = lower.read(Box(top=0, left=0, bottom=lower.shape[0], right=lower.shape[1]))
        assert read.guides is not None
        images = GuidedImages(
            fused=fused,
            pan=read.pan,
            up=upsample(read.ms[None], scene.ratio, scene.phase)[0],
            guides=read.guides,
        )
        moments = level_moments(
            images,
            window.ms,
            scales,
            valid=_untouched(read.valid, scene, origin),
            origin=origin,
            shape=scene.shape,
        )
        total = moments if total is None else total + moments
    return None if total is None else fit_correction(total, scales, of_ms)


def gains_down(mtf: Tensor, guide_gain: float, ratio: int) -> tuple[float, Tensor]:
    """Gains that bring guides and MS a level down so that they relate there as they do here.

    mtf: (C,) gains of the MS relative to the guides; `guide_gain`: of the guides at their own
    Nyquist. MTFs are taken as Gaussian; the blur that an image has already is left out.
    """
    own = 1 - 1 / ratio**2
    return guide_gain**own, (guide_gain ** (1 / ratio**2) * mtf) ** own


def _level_down(scene: PanOfGuides, window: Window, of_guides: float, of_ms: Tensor) -> PanOfGuides:
    """A window whose guides lie on the grid that its MS has here, with the scene's own weights."""
    ratio, phase = scene.ratio, scene.phase
    gains = torch.full((1, len(window.pan)), of_guides)
    arrays = GuidedArrays(
        ms=degrade(window.ms[None], of_ms[None], ratio, phase)[0],
        guides=degrade(window.pan[None], gains, ratio, phase)[0],
        valid=ms_valid_mask(window.valid, ratio),
        phase=phase,
    )
    return replace(scene, scene=arrays, shift=NO_SHIFT)


def _windows(scene: PanOfGuides) -> Iterator[tuple[Window, tuple[int, int]]]:
    """Windows of the scene, guides where the MS lies, each with its first MS pixel."""
    ratio, (h, w) = scene.ratio, scene.shape
    side = max(_GUIDE_SIDE // ratio, _MOST_DOWN * ratio)
    height, width = (min(side, length) // ratio * ratio for length in (h, w))
    if min(height, width) < _LEAST_DOWN * ratio:
        return
    found = False
    for top in _spaced(h, height):
        for left in _spaced(w, width):
            box = Box(top=top, left=left, bottom=top + height, right=left + width)
            window = _moved(scene, scene.scene.read(box), height, width)
            if float(window.valid.float().mean()) > _LEAST_VALID:
                found = True
                yield window, (top, left)
    if not found:  # data lie between the windows
        window = fullest_window(scene.scene)
        top, left = _fullest_part(ms_valid_mask(window.valid, ratio), height, width)
        part = Window(
            ms=window.ms[:, top:, left:],
            pan=window.pan[:, top * ratio :, left * ratio :],
            valid=window.valid[top * ratio :, left * ratio :],
        )
        yield _moved(scene, part, height, width), (top, left)


def _fullest_part(valid: Tensor, height: int, width: int) -> tuple[int, int]:
    """First row and column of the part with most True; steps of an eighth of a part."""
    steps = max(1, height // 8), max(1, width // 8)
    filled = F.avg_pool2d(valid[None, None].float(), (height, width), steps)[0, 0]
    row, column = divmod(int(filled.argmax()), filled.shape[1])
    return row * steps[0], column * steps[1]


def _moved(scene: PanOfGuides, window: Window, height: int, width: int) -> Window:
    """The first MS pixels of a window, guides moved to where they lie."""
    fine = scene.ratio * height, scene.ratio * width
    return Window(
        ms=window.ms[:, :height, :width],
        pan=shift_image(window.pan, scene.shift)[:, : fine[0], : fine[1]],
        valid=window.valid[: fine[0], : fine[1]],
    )


def _spaced(size: int, side: int) -> list[int]:
    """Starts of up to three windows, from edge to edge."""
    count = min(_WINDOWS, -(-size // side))
    return sorted({round(i * (size - side) / max(1, count - 1)) for i in range(count)})


def _untouched(valid: Tensor, scene: PanOfGuides, origin: tuple[int, int]) -> Tensor:
    """(H, W) bool: pixels far from missing ones and from borders that the scene does not have."""
    (top, left), (h, w) = origin, scene.shape
    bottom, right = (start + side for start, side in zip(origin, valid.shape, strict=True))
    cut = [left > 0, right < w - scene.ratio, top > 0, bottom < h - scene.ratio]
    padded = F.pad(valid, [int(side) for side in cut])
    far = eroded(padded, _EDGE * scene.ratio)
    return far[cut[2] : len(far) - cut[3], cut[0] : far.shape[1] - cut[1]]

"""A scene with guides as one with a PAN a band: fitted in a pass over it, made window by window."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.fusion.sampled_tiles import SAMPLE, STATISTICS_HALO, sampled_tiles
from fusiontrain.fusion.sensor_model import fullest_window
from fusiontrain.fusion.window_loop import read_ahead, scene_tiles
from fusiontrain.imaging.guides import GuideFit, GuideMoments, fit_guides, guide_moments
from fusiontrain.imaging.local_guides import REACH, local_helps, local_pan
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.shift_estimation import LOBES, NO_SHIFT, Shift, shift_image
from fusiontrain.imaging.tiling import Box, WindowExtent
from fusiontrain.scenes.scene import NO_DATA, SceneWrapper, Window, WindowedScene
from shards.sensors import NOMINAL_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class PanOfGuides(SceneWrapper):
    """The scene with a PAN made of its guides: one a band of `fit`. Satisfies WindowedScene.

    `scene` has guides (G, H, W) as `pan`. They are moved by `shift`, to where the MS lies. Bands
    that are `local` get theirs by local weights, from a window wider than asked for, so that it
    does not depend on how a scene is cut.
    """

    fit: GuideFit = field(repr=False)
    shift: Shift = NO_SHIFT
    mtf: Tensor | None = field(default=None, repr=False)  # (C,) gains; for local weights
    local: tuple[bool, ...] = ()

    def read(self, box: Box) -> Window:
        margin = REACH if any(self.local) else 0
        margin += math.ceil((LOBES + max(map(abs, self.shift))) / self.ratio) if self.moved else 0
        h, w = self.shape
        padded = Box(
            top=max(0, box.top - margin),
            left=max(0, box.left - margin),
            bottom=min(h, box.bottom + margin),
            right=min(w, box.right + margin),
        )
        window = self.scene.read(padded)
        rows, columns = box.inside(padded)
        fine_rows, fine_columns = box.scaled(self.ratio).inside(padded.scaled(self.ratio))
        guides = shift_image(window.pan, self.shift)
        pan = self._pan(window.ms, guides)
        return Window(
            ms=window.ms[:, rows, columns],
            pan=pan[:, fine_rows, fine_columns],
            valid=window.valid[fine_rows, fine_columns],
            guides=guides[:, fine_rows, fine_columns],
        )

    @property
    def moved(self) -> bool:
        return self.shift != NO_SHIFT

    def _pan(self, ms: Tensor, guides: Tensor) -> Tensor:
        """(C, H, W) DN."""
        if self.mtf is None or not any(self.local):
            return self.fit.pan(guides)
        pan = local_pan(ms, guides, self.fit, self.mtf, self.ratio, self.phase)
        if not all(self.local):
            kept = torch.tensor(self.local)[:, None, None]
            pan = torch.where(kept, pan, self.fit.pan(guides))
        return pan


@torch.inference_mode()
def with_pan_per_band(scene: WindowedScene, mtf: Tensor, shift: Shift) -> PanOfGuides:
    """The scene with a PAN of each band, fitted on it: by the scene's weights, or local ones.

    mtf, shift: as of fit_over_scene. Raises: SceneError if too few pixels have data.
    """
    fit = fit_over_scene(scene, mtf, shift)
    window = fullest_window(scene)
    valid = ms_valid_mask(window.valid, scene.ratio)
    guides = shift_image(window.pan, shift)
    local = local_helps(window.ms, guides, mtf, scene.ratio, valid, scene.phase)
    return PanOfGuides(scene=scene, fit=fit, shift=shift, mtf=mtf, local=local)


def best_explained(scene: WindowedScene) -> PanOfGuides:
    """The scene with one PAN for all its bands: that of the band which the guides explain best.

    On it blur and shift are estimated as on a PAN. Raises: SceneError if no window has data.
    """
    window = fullest_window(scene)
    h, w = window.ms.shape[1:]
    valid = ms_valid_mask(window.valid, scene.ratio)
    if not bool(valid.any()):
        raise SceneError(NO_DATA)
    moments = guide_moments(
        window.ms,
        window.pan,
        torch.full((scene.bands,), NOMINAL_MS),
        scene.ratio,
        about=_levels(window, valid),
        valid=valid,
        core=(slice(0, h), slice(0, w)),
        origin=(0, 0),
        shape=(h, w),
        phase=scene.phase,
    )
    fit = fit_guides(moments)
    return PanOfGuides(scene=scene, fit=fit.only(int(fit.r2.argmax())))


@torch.inference_mode()
def fit_over_scene(scene: WindowedScene, mtf: Tensor, shift: Shift = NO_SHIFT) -> GuideFit:
    """How each band's PAN is made of the guides, from one pass over the scene or a sample of it.

    mtf: (C,) gains; shift: where on the guides the MS's pixels lie. The same for all windows, so
    that none shows its edge. Raises: SceneError if too few pixels have data.
    """
    total: GuideMoments | None = None
    for tiles in (sampled_tiles(scene), scene_tiles(scene, halo=STATISTICS_HALO * scene.ratio)):
        total = None
        for part in _moments(scene, tiles, mtf, shift):
            total = part if total is None else total + part
        if total is not None and total.count * scene.ratio**2 > SAMPLE // 8:
            break
    if total is None:
        raise SceneError(NO_DATA)
    return fit_guides(total)


def _moments(
    scene: WindowedScene, tiles: list[WindowExtent], mtf: Tensor, shift: Shift
) -> Iterator[GuideMoments]:
    about: tuple[Tensor, Tensor] | None = None
    for tile, window in read_ahead(scene, tiles):
        core = tile.core.inside(tile.padded)
        valid = ms_valid_mask(window.valid, scene.ratio)
        if not bool(valid[core].any()):
            continue
        about = about or _levels(window, valid)
        yield guide_moments(
            window.ms,
            shift_image(window.pan, shift),
            mtf,
            scene.ratio,
            about=about,
            valid=valid,
            core=core,
            origin=(tile.core.top, tile.core.left),
            shape=scene.shape,
            phase=scene.phase,
        )


def _levels(window: Window, valid: Tensor) -> tuple[Tensor, Tensor]:
    """(G,) and (C,): typical DN of the guides and the bands."""
    guides = window.pan[:, window.valid].double().mean(1)
    return guides, window.ms[:, valid].double().mean(1)

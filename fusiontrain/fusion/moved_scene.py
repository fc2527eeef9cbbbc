"""A scene whose MS or PAN is moved, by one shift a band or by a field, window by window."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.shift_estimation import LOBES, NO_SHIFT, Shift, shift_image
from fusiontrain.imaging.shift_field import ShiftField, resample
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import SceneWrapper, Window, WindowedScene


@dataclass(frozen=True, kw_only=True, slots=True)
class MovedScene(SceneWrapper):
    """The scene with its MS moved to where PAN lies, or PAN to where the MS lies.

    `shifts`: one a band, PAN pixels: where its pixels lie on PAN beside where they should. The MS
    is interpolated on its own grid, which leaves PAN's detail whole; edge pixels are replicated.
    `ms_field`: where all of them lie beside that; the MS is moved. `pan_field`: the same, but PAN
    is moved. Satisfies WindowedScene.
    """

    shifts: tuple[Shift, ...]
    ms_field: ShiftField | None = None
    pan_field: ShiftField | None = None

    def read(self, box: Box) -> Window:
        """The window, cut from a wider one, so that it does not depend on how a scene is cut."""
        (h, w), ratio = self.shape, self.ratio
        margin = self._margin()
        padded = Box(
            top=max(0, box.top - margin),
            left=max(0, box.left - margin),
            bottom=min(h, box.bottom + margin),
            right=min(w, box.right + margin),
        )
        window = self.scene.read(padded)
        inner = box.inside(padded)
        fine = box.scaled(ratio).inside(padded.scaled(ratio))
        return Window(
            ms=self._moved_ms(window.ms, padded, inner),
            pan=self._moved_pan(window.pan, padded)[:, fine[0], fine[1]],
            valid=window.valid[fine[0], fine[1]],
        )

    def _margin(self) -> int:
        """MS pixels around a window from which its pixels are interpolated."""
        farthest = max((abs(x) for shift in self.shifts for x in shift), default=0.0)
        if self.ms_field is not None:
            farthest += self.ms_field.most
        if self.pan_field is not None:
            farthest = max(farthest, self.pan_field.most)
        return LOBES + math.ceil(farthest / self.ratio)

    def _moved_ms(self, ms: Tensor, box: Box, inner: tuple[slice, slice]) -> Tensor:
        rows, columns = inner
        if self.ms_field is None:
            bands = [
                shift_image(band, (-shift[0] / self.ratio, -shift[1] / self.ratio))[rows, columns]
                for band, shift in zip(ms, self.shifts, strict=True)
            ]
            return torch.stack(bands)
        field = self.ms_field.at(
            torch.arange(box.top, box.bottom), torch.arange(box.left, box.right)
        )
        out = torch.empty(len(ms), rows.stop - rows.start, columns.stop - columns.start)
        for shift in dict.fromkeys(self.shifts):  # bands in one place are moved together
            own = [band for band, other in enumerate(self.shifts) if other == shift]
            beside = torch.tensor(shift, dtype=torch.float64)[:, None, None]
            moved = resample(ms[own], -(field + beside) / self.ratio)
            out[own] = moved[:, rows, columns]
        return out

    def _moved_pan(self, pan: Tensor, box: Box) -> Tensor:
        if self.pan_field is None:
            return pan
        fine = box.scaled(self.ratio)
        rows, columns = (
            (torch.arange(start, stop, dtype=torch.float64) + 0.5) / self.ratio - 0.5
            for start, stop in ((fine.top, fine.bottom), (fine.left, fine.right))
        )
        return resample(pan, self.pan_field.at(rows, columns))


def pan_moved(scene: WindowedScene, field: ShiftField) -> MovedScene:
    """The scene with PAN moved to where the MS lies."""
    return MovedScene(scene=scene, shifts=(NO_SHIFT,) * scene.bands, pan_field=field)

"""Output frame: whether PAN or MS is moved where the two are displaced; bands in one place."""

import math
from dataclasses import dataclass, replace

import torch

from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.shift_estimation import LOBES, NO_SHIFT, Shift, shift_image
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import Window, WindowedScene


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftedScene:
    """The scene with its MS moved, each band by its own shift; PAN stays as it is.

    `shifts`: one a band, PAN pixels: where its pixels lie on PAN beside where they should. The MS
    is interpolated on its own grid, which leaves PAN's detail whole; edge pixels are replicated.
    Satisfies WindowedScene.
    """

    scene: WindowedScene
    shifts: tuple[Shift, ...]

    @property
    def bands(self) -> int:
        return self.scene.bands

    @property
    def ratio(self) -> int:
        return self.scene.ratio

    @property
    def shape(self) -> tuple[int, int]:
        return self.scene.shape

    @property
    def phase(self) -> GridPhase:
        return self.scene.phase

    def read(self, box: Box) -> Window:
        """The window, cut from a wider one, so that it does not depend on how a scene is cut."""
        (h, w), ratio = self.shape, self.ratio
        margin = LOBES + max(math.ceil(abs(x) / ratio) for shift in self.shifts for x in shift)
        padded = Box(
            top=max(0, box.top - margin),
            left=max(0, box.left - margin),
            bottom=min(h, box.bottom + margin),
            right=min(w, box.right + margin),
        )
        window = self.scene.read(padded)
        rows, columns = box.inside(padded)
        fine_rows, fine_columns = box.scaled(ratio).inside(padded.scaled(ratio))
        bands = [
            shift_image(band, (-shift[0] / ratio, -shift[1] / ratio))[rows, columns]
            for band, shift in zip(window.ms, self.shifts, strict=True)
        ]
        return Window(
            ms=torch.stack(bands),
            pan=window.pan[:, fine_rows, fine_columns],
            valid=window.valid[fine_rows, fine_columns],
        )


def in_output_frame(
    scene: WindowedScene, sensor_model: SensorModel
) -> tuple[WindowedScene, SensorModel]:
    """The scene and its sensor model in the frame of the result, bands moved to one place."""
    on_pan = sensor_model.frame == "pan"
    rows, columns = sensor_model.shift if on_pan else NO_SHIFT
    own = sensor_model.band_shifts
    beside = [NO_SHIFT] * scene.bands if own is None else own.tolist()
    shifts = tuple((rows + part[0], columns + part[1]) for part in beside)
    if all(shift == NO_SHIFT for shift in shifts):
        return scene, sensor_model
    remaining = NO_SHIFT if on_pan else sensor_model.shift
    return (
        ShiftedScene(scene=scene, shifts=shifts),
        replace(sensor_model, shift=remaining, band_shifts=None),
    )

"""Output frame: whether PAN or MS is moved where the two are displaced; bands in one place."""

from dataclasses import replace

from fusiontrain.fusion.moved_scene import MovedScene
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.scenes.scene import WindowedScene


def in_output_frame(
    scene: WindowedScene, sensor_model: SensorModel
) -> tuple[WindowedScene, SensorModel]:
    """The scene and its sensor model in the frame of the result, bands moved to one place.

    A local shift stands for the one of the whole scene.
    """
    on_pan = sensor_model.frame == "pan"
    local = sensor_model.local_shift
    common = sensor_model.shift if on_pan and local is None else NO_SHIFT
    own = sensor_model.band_shifts
    beside = [NO_SHIFT] * scene.bands if own is None else own.tolist()
    shifts = tuple((common[0] + part[0], common[1] + part[1]) for part in beside)
    if local is None and all(shift == NO_SHIFT for shift in shifts):
        return scene, sensor_model
    remaining = NO_SHIFT if on_pan or local is not None else sensor_model.shift
    return (
        MovedScene(
            scene=scene,
            shifts=shifts,
            ms_field=None if local is None or not on_pan else local.field,
            pan_field=None if local is None or on_pan else local.field,
        ),
        replace(sensor_model, shift=remaining, band_shifts=None, local_shift=None),
    )

"""What registration did to a pair, in words."""

from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.shift_estimation import NO_SHIFT


def registration(sensor_model: SensorModel, *, register: bool) -> str:
    """What was moved where, in one line."""
    if not register:
        return "register=off: both used as they lie"
    bands = ""
    if sensor_model.band_shifts is not None:
        most = float(sensor_model.band_shifts.abs().max())
        bands = f"; bands, up to {most:.2f} PAN pixels off that, are moved to one place"
    moved = "PAN is moved there"
    if sensor_model.frame == "pan":
        moved = "the MS is moved back, and the result lies on the PAN"
    if sensor_model.local_shift is not None:
        return (
            "register=auto: the MS lies off the PAN by a shift that varies over the scene, "
            f"{sensor_model.local_shift}; {moved}, place by place{bands}"
        )
    if sensor_model.shift == NO_SHIFT:
        return (
            "register=auto: no shift between PAN and MS could be estimated; both used as they lie"
            + bands
        )
    rows, columns = sensor_model.displacement
    return (
        f"register=auto: the MS lies {rows:+.2f} rows, {columns:+.2f} columns of PAN pixels off "
        f"the PAN; {moved}{bands}"
    )

"""When two grids count as one: the tolerances, and CRS that can be compared."""

from typing import Any

from fusiontrain.errors import SceneError

GRID_TOLERANCE = 0.25  # PAN pixels by which two grids may miss each other
STACK_TOLERANCE = 0.05  # pixels by which files of one band each may miss each other
EXTENT_TOLERANCE = 0.01  # of its side, by which a file without georeference may miss a whole ratio


def check_crs(pan_crs: Any, other_crs: Any, other: str) -> None:
    """Raises: SceneError if just one of PAN and `other` has a CRS: nothing leads to the other's."""
    if pan_crs != other_crs and (pan_crs is None or other_crs is None):
        raise SceneError(
            f"PAN is in {pan_crs}, {other} in {other_crs}: give the one without a CRS its own "
            "(gdal_edit -a_srs)"
        )

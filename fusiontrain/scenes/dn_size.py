"""The factor that brings files of reflectance to the size of DN."""

from torch import Tensor

from fusiontrain.imaging.dn_factor import dn_factor
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.raster import sample_windows


def of_small_integers(pair: GeoPair) -> bool:
    """Whether the files are of 8 or 16 bits: their size is known without a look."""
    types = (pair.pan_file.dtype, pair.ms_file.dtype)
    return all(dtype.kind in "ui" and dtype.itemsize <= 2 for dtype in types)


def guides_factor(pair: GeoPair) -> float:
    """Of guides and bands together, by the guides."""
    if of_small_integers(pair):
        return 1.0

    def read(box: Box) -> tuple[Tensor, Tensor]:
        window = pair.read(box)
        return window.pan, window.valid

    guides, valid = sample_windows(*pair.shape, read)
    return dn_factor(float(guides.where(valid, 0.0).abs().max()))

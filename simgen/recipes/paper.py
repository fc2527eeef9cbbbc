"""The seed paper's simulation, as far as it is public."""

from simgen.config import Recipe
from simgen.effects import OpticsRanges, RadiometryRanges, SpectralRanges


def paper() -> Recipe:
    """Cui, Liu and Zeng, arXiv 2512.02643; blur and decimation as in the authors' public code.

    Target: the photograph's own RGB and convex mixes of it, 8 bits. PAN: a convex mix of a
    random subset of the bands, exact: no blur, no noise. MS: the target through a 3x3
    Gaussian (sigma 1.5), decimated by bicubic interpolation.
    Known weak: see docs/reference/recipes.md. Kept as the baseline that `sensor` must beat.
    """
    return Recipe(
        name="paper",
        oversample=1,
        zoom=(1.0, 1.0),
        optics=OpticsRanges(kernel="paper"),
        spectral=SpectralRanges(keep_rgb=1.0, signed_rows=0.0, pan_unexplained_chance=0.0),
        radiometry=RadiometryRanges(bits=(8,)),
    )

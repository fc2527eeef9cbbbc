"""Sensors with several sharp bands in place of a PAN, as Sentinel-2 has them."""

from simgen.config import Recipe
from simgen.recipes.ratio import at_ratio
from simgen.recipes.sensor import sensor_quiet


def guides() -> Recipe:
    """One band a sample at ratio 2, and a PAN that is the regression of four sharp bands on it.

    That is how `fuse --guide` makes the PAN of each band; a network is shown one band at a time.
    Guides are the first bands drawn: blue, green and red where the photograph's are kept, then one
    in the infrared. MTFs are those of Sentinel-2 (.15 to .40), noise that of `sensor-quiet`; bands
    and guides lie within .3 pixels, and nothing moves between them.
    """
    return at_ratio(sensor_quiet(), 2).with_fields(
        name="guides",
        guides=4,
        physical=0.0,
        mtf_ms=(0.15, 0.45),
        mtf_pan=(0.15, 0.40),
        softness=(0.15, 0.40),
        decimation=("point",),
        defocus_chance=0.0,
        halo_chance=0.0,
        shift=(0.0, 0.3),
        local_shift_chance=0.0,
        parallax_chance=0.0,
        moving_chance=0.0,
        spectral=0.4,
        material_chance=0.9,
        pan_unexplained_chance=0.0,
        compression_chance=0.0,
        bits=(10, 11, 12, 14),
    )


def guides_x6() -> Recipe:
    """`guides` at ratio 6, as of 60 m and 10 m."""
    return at_ratio(guides(), 6).with_fields(name="guides-x6")

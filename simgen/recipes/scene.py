"""Pairs with the faults that real ones have, and the scene without them as the target."""

from simgen.config import Recipe
from simgen.recipes.ratio import at_ratio
from simgen.recipes.sensor import sensor


def scene() -> Recipe:
    """The target is what a map is drawn from: crisp, bands in place, no rings, noise or ghosts.

    Light as in `sensor`. The target lies on PAN and is about as crisp as PAN; detail of PAN that
    some band lacks is rarer, since a result without PAN's detail looks blurred. All faults are the
    MS's: MTFs from .03 to .70, bands up to a PAN pixel off, the rest of a shift after
    registration, terrain, rings, moved objects, and most of the noise.
    """
    return sensor().with_fields(
        name="scene",
        target="scene",
        jitter_chance=0.5,
        saturation=(0.1, 1.6),
        shadow_chance=0.6,
        shadow=(0.08, 0.5),
        physical=1.0,
        softness=(0.80, 0.95),
        mtf_ms=(0.03, 0.70),
        band_jitter=0.15,
        mtf_pan=(0.70, 0.97),
        defocus_chance=0.0,
        halo_chance=0.4,
        halo=(0.02, 0.15),
        shift_chance=0.5,
        shift=(0.0, 0.8),
        local_shift_chance=0.2,
        local_shift=(0.05, 0.6),
        parallax_chance=0.35,
        parallax=(0.0, 1.0),
        moving_chance=0.15,
        signed_rows=0.05,
        material_chance=0.6,
        material=(0.1, 0.8),
        pan_unexplained_chance=0.1,
        pan_unexplained=(0.02, 0.1),
        pan_hidden_chance=0.1,
        pan_hidden=(0.02, 0.1),
        read_noise=(0.0, 0.0015),
        noise_pan=0.25,
        noise_grain=(0.0, 0.5),
    )


def scene_soft() -> Recipe:
    """`scene` of the softest MS, as delivered for SPOT-6, Pleiades and GaoFen-2.

    Such an MS was resampled with its noise, which then looks like ground: no network should
    sharpen it.
    """
    return scene().with_fields(
        name="scene-soft",
        mtf_ms=(0.015, 0.15),
        read_noise=(0.0, 0.004),
        noise_grain=(0.0, 0.8),
    )


def scene_x2() -> Recipe:
    """`scene` at ratio 2, where as many PAN pixels are twice as many MS pixels."""
    return at_ratio(scene(), 2).with_fields(
        name="scene-x2",
        shift=(0.0, 0.5),
        local_shift=(0.05, 0.3),
        parallax=(0.0, 0.5),
    )

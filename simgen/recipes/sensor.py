"""Our simulation: sensors that do not exist but could."""

from shards.sensors import find_sensor
from simgen.config import Recipe
from simgen.effects import (
    DetectorRanges,
    GeometryRanges,
    OpticsRanges,
    PhotographRanges,
    RadiometryRanges,
    Range,
    SpectralRanges,
)
from simgen.recipes.ratio import at_ratio

# Ranges of `sensor`, group by group.
_PHOTOGRAPH = PhotographRanges(
    jitter_chance=0.3,
    brightness=(0.8, 1.2),
    contrast=(0.8, 1.25),
    saturation=(0.6, 1.6),
    hue=(-25.0, 25.0),
    high_pass_chance=0.1,
    high_pass=(0.2, 1.0),
    gamma=(1.5, 3.0),
)
_OPTICS = OpticsRanges(
    mtf_ms=(0.06, 0.50),
    mtf_pan=(0.12, 0.75),
    anisotropy=(0.0, 0.12),
    decimation=("point", "point", "area"),
    physical=0.3,
    defocus_chance=0.05,
    defocus=(0.5, 0.9),
    halo_chance=0.1,
    halo=(0.02, 0.15),
)
_GEOMETRY = GeometryRanges(
    shift_chance=0.5,
    shift=(0.0, 2.0),
    local_shift_chance=0.1,
    local_shift=(0.05, 0.3),
    parallax_chance=0.25,
    parallax=(0.0, 0.25),
    moving_chance=0.1,
    moving=(1.0, 6.0),
)
_SPECTRAL = SpectralRanges(
    spectral=0.25,
    nir=0.5,
    signed_rows=0.3,
    material_chance=0.7,
    material=(0.2, 1.6),
    pan_sees=0.75,
    pan_unexplained_chance=0.9,
    pan_unexplained=(0.05, 0.25),
    pan_hidden_chance=0.8,
    pan_hidden=(0.05, 0.2),
    pan_gain=(0.65, 1.6),
    pan_offset=(-0.04, 0.02),
)
_RADIOMETRY = RadiometryRanges(
    bits=(8, 10, 11, 11, 12),
    band_gain=(0.15, 0.65),
    band_offset=(0.0, 0.08),
    exposure_chance=0.1,
    exposure=(1.2, 2.0),
    haze_chance=0.3,
    haze=(0.05, 0.4),
)
_DETECTOR = DetectorRanges(
    read_noise=(0.0, 0.001),
    shot_noise=(0.0, 2e-5),
    noise_spread=0.3,
    noise_common=(0.0, 0.3),
    noise_grain=(0.0, 0.3),
    stripe_chance=0.15,
    stripe_offset=(0.0, 8e-4),
    stripe_gain=(0.0, 4e-3),
    compression_chance=0.15,
    compression=(5e-4, 4e-3),
)


def sensor() -> Recipe:
    """The scene first, on a grid twice finer than the PAN's; then target, PAN and MS.

    Each is observed through its own drawn MTF; the target's is the softness, an input of
    networks. Faults of optics, geometry and detectors come with moderate chances: what every
    sample had would be what no network expects to be without. See
    docs/reference/recipes.md; how near it is to the real scenes that its draws were tuned on:
    docs/reports/realism.md.
    Cost: 40 samples of 4 bands and 256 pixels a second and core, 35 of 8
    (python -m bench.speed.stages).
    """
    return Recipe(
        name="sensor",
        photograph=_PHOTOGRAPH,
        optics=_OPTICS,
        geometry=_GEOMETRY,
        spectral=_SPECTRAL,
        radiometry=_RADIOMETRY,
        detector=_DETECTOR,
    )


def sensor_quiet() -> Recipe:
    """`sensor` without noise and stripes of detectors: what networks learn most from.

    The noise of `sensor` is that of pairs as delivered. Its targets have none, so a network learns
    to hold PAN's finest detail for noise; in a real truth that detail is there
    (docs/reports/study.md).
    """
    silent: Range = (0.0, 0.0)
    return sensor().with_fields(
        name="sensor-quiet", read_noise=silent, shot_noise=silent, stripe_chance=0.0
    )


def sensor_soft() -> Recipe:
    """`sensor-quiet` with the softest targets, from any MS.

    Some MS as delivered pass next to nothing at their Nyquist (GaoFen-2, SPOT-6, Pleiades: .05 to
    .09 of PAN's detail), and few draws of `sensor`. An MS that is made from a target so soft can
    hold nearly all of it, hence the wide range of MTFs.
    """
    return sensor_quiet().with_fields(name="sensor-soft", softness=(0.01, 0.2), mtf_ms=(0.15, 0.99))


def sensor_clean() -> Recipe:
    """Without the faults of `sensor`: MTF, softness, band mixing, tints, DN, nothing else.

    What a short training learns most from: docs/reference/recipes.md.
    """
    return Recipe(
        name="sensor-clean",
        photograph=PhotographRanges(gamma=(1.0, 2.2)),
        spectral=SpectralRanges(
            spectral=0.1,
            nir=0.2,
            signed_rows=0.1,
            material_chance=0.9,
            material=(0.4, 2.2),
            pan_gain=(0.7, 1.1),
            pan_offset=(0.0, 0.05),
        ),
        radiometry=RadiometryRanges(
            bits=(8, 10, 11, 11, 12), band_gain=(0.15, 0.65), band_offset=(0.0, 0.08)
        ),
    )


def sensor_fixed() -> Recipe:
    """Optics near published rows, and plain radiometry: for networks of a fixed number of bands.

    Such networks get values, not the scene's statistics, softness and MTF: what `sensor-clean`
    draws over wide ranges they average over, and inject too little (docs/reports/seed.md). Here
    all bands and PAN have nearly one gain, PAN is nearly a convex mix of the bands, and MTF and
    softness keep to the middle of those that scenes have.
    """
    return Recipe(
        name="sensor-fixed",
        photograph=PhotographRanges(gamma=(1.0, 1.6)),
        optics=OpticsRanges(mtf_ms=(0.2, 0.4), softness=(0.4, 0.7)),
        spectral=SpectralRanges(
            keep_rgb=1.0,
            nir=0.5,
            signed_rows=0.0,
            material_chance=0.3,
            material=(0.2, 1.0),
            pan_unexplained=(0.0, 0.1),
            pan_unexplained_chance=0.3,
        ),
        radiometry=RadiometryRanges(bits=(10, 11, 11), band_gain=(0.35, 0.65)),
    )


def sensor_like(name: str) -> Recipe:
    """`sensor` with one instrument's own MS gains, ratio and bit depth: for tests, not training.

    name: a row of shards/sensors.py, or a TOML file of one's own. Raises: ContractError.
    """
    row = find_sensor(name)
    return at_ratio(sensor(), row.ratio).with_fields(like_sensor=row, bits=(row.bits,))

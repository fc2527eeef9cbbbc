"""The statistics: one table, and one function that measures them all on a pair."""

from dataclasses import dataclass

import numpy as np

from simgen.realism.blur import best_sigmas, details, seen_by_ms
from simgen.realism.colours import band_correlations, negative_share, regress
from simgen.realism.levels import flat_noise, skewness
from simgen.realism.pairs import Pair
from simgen.realism.shift import phase_shift
from simgen.realism.spectra import slope_and_fine_share

_HALF = 0.5  # MS pixels: sigma of the blur under which PAN is first compared with the MS
_USUAL = 0.45  # MS pixels: stands where no band's blur could be measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """What is measured. Distances are divided by `scale`: one of 1 is as far as `scale` is."""

    name: str
    text: str
    unit: str
    scale: float
    shown: tuple[float, float]  # range of its histogram; what lies beyond is in the last bar


STATISTICS = (
    Statistic(name="band_correlation", text="correlation of two MS bands", unit="",
              scale=0.25, shown=(-0.6, 1.0)),
    Statistic(name="pan_r2", text="share of PAN's variance that the bands explain", unit="R2",
              scale=0.1, shown=(0.6, 1.0)),
    Statistic(name="pan_weight", text="a band's weight in PAN, of the sum of all sizes", unit="",
              scale=0.25, shown=(-0.6, 1.0)),
    Statistic(name="pan_weight_sum", text="sum of PAN's weights", unit="",
              scale=0.25, shown=(0.0, 2.5)),
    Statistic(name="pan_weight_negative", text="negative share of PAN's weights", unit="",
              scale=0.1, shown=(0.0, 0.5)),
    Statistic(name="ms_mean", text="mean of an MS band", unit="full scale",
              scale=0.1, shown=(0.0, 0.8)),
    Statistic(name="pan_mean", text="mean of PAN", unit="full scale",
              scale=0.1, shown=(0.0, 0.8)),
    Statistic(name="ms_spread", text="standard deviation of an MS band", unit="full scale",
              scale=0.05, shown=(0.0, 0.3)),
    Statistic(name="pan_spread", text="standard deviation of PAN", unit="full scale",
              scale=0.05, shown=(0.0, 0.3)),
    Statistic(name="ms_skewness", text="skewness of an MS band", unit="",
              scale=1.0, shown=(-2.0, 5.0)),
    Statistic(name="pan_skewness", text="skewness of PAN", unit="",
              scale=1.0, shown=(-2.0, 5.0)),
    Statistic(name="ms_slope", text="exponent of an MS band's power over frequency", unit="",
              scale=1.0, shown=(-4.5, 0.0)),
    Statistic(name="pan_slope", text="exponent of PAN's power over frequency", unit="",
              scale=1.0, shown=(-6.0, -1.0)),
    Statistic(name="ms_fine_share", text="an MS band's power beyond half of Nyquist", unit="log10",
              scale=0.5, shown=(-3.0, 0.0)),
    Statistic(name="pan_fine_share", text="PAN's power beyond half of Nyquist", unit="log10",
              scale=0.5, shown=(-5.0, 0.0)),
    Statistic(name="ms_flat_noise", text="noise of an MS band's flattest blocks",
              unit="log10 of full scale", scale=0.5, shown=(-5.0, -1.0)),
    Statistic(name="pan_flat_noise", text="noise of PAN's flattest blocks",
              unit="log10 of full scale", scale=0.5, shown=(-5.0, -1.0)),
    Statistic(name="shift", text="PAN against MS", unit="PAN pixels",
              scale=0.5, shown=(0.0, 3.0)),
    Statistic(name="blur", text="sigma that best makes an MS band of PAN", unit="PAN pixels",
              scale=0.5, shown=(0.0, 6.0)),
)  # fmt: skip


def measure(pair: Pair) -> dict[str, np.ndarray]:
    """Every statistic of one pair, by name: one number a band, a pair of bands, or an image.

    NaN where it cannot be measured: on flat images, or where PAN and a band have nothing in common.
    """
    ms, pan, ratio = pair.ms, pair.pan, pair.ratio
    rough = seen_by_ms(pan, ratio, _HALF * ratio)
    # The bands as PAN would see them: what is left apart is geometry, not colour.
    fitted = np.tensordot(regress(details(rough), details(ms)).weights, details(ms), axes=1)
    down, along = (by * ratio for by in phase_shift(details(rough), fitted))
    found = np.isfinite(down)
    shift = (down, along) if found else (0.0, 0.0)
    sigmas = best_sigmas(ms, pan, ratio, shift)
    known = sigmas[np.isfinite(sigmas)]
    sigma = float(np.median(known)) if known.size else _USUAL * ratio
    mix = regress(seen_by_ms(pan, ratio, sigma, shift), ms)
    size = np.abs(mix.weights).sum()
    ms_spectra = np.array([slope_and_fine_share(band) for band in ms])
    pan_spectrum = slope_and_fine_share(pan)
    return {
        "band_correlation": band_correlations(ms),
        "pan_r2": np.array([mix.r2]),
        "pan_weight": mix.weights / size if size > 0 else np.full(pair.bands, np.nan),
        "pan_weight_sum": np.array([mix.weights.sum()]),
        "pan_weight_negative": np.array([negative_share(mix.weights)]),
        "ms_mean": ms.mean((1, 2)),
        "pan_mean": np.array([pan.mean()]),
        "ms_spread": ms.std((1, 2)),
        "pan_spread": np.array([pan.std()]),
        "ms_skewness": np.array([skewness(band) for band in ms]),
        "pan_skewness": np.array([skewness(pan)]),
        "ms_slope": ms_spectra[:, 0],
        "pan_slope": np.array(pan_spectrum[:1]),
        "ms_fine_share": ms_spectra[:, 1],
        "pan_fine_share": np.array(pan_spectrum[1:]),
        "ms_flat_noise": np.array([flat_noise(band) for band in ms]),
        "pan_flat_noise": np.array([flat_noise(pan)]),
        "shift": np.array([np.hypot(down, along)]),
        "blur": sigmas,
    }

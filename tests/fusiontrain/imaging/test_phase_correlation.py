"""Phase correlation: known shifts of a smooth random scene, and scenes without an estimate."""

import pytest
import torch

from fusiontrain.imaging.phase_correlation import combine_shifts, phase_correlate

SIDE, RATIO = 96, 4  # MS pixels


def scene(rows=0.0, columns=0.0):
    """(1, H, W) DN of a natural spectrum, displaced exactly by a phase ramp; PAN pixels."""
    side = SIDE * RATIO
    noise = torch.rand(side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    fy, fx = torch.fft.fftfreq(side)[:, None], torch.fft.fftfreq(side)
    spectrum = torch.fft.fft2(noise - 0.5) / (fy**2 + fx**2 + 1e-3).sqrt()
    ramp = torch.exp(2j * torch.pi * (fy * rows + fx * columns))
    return 500 + torch.fft.ifft2(spectrum * ramp).real[None] * 20


def reduced(image):
    return torch.nn.functional.avg_pool2d(image, RATIO)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, -3), (0.4, 0.25), (-6.3, 4.75)])
def test_known_shifts_are_found(rows, columns):
    """To a tenth of an MS pixel; bands of opposite contrast do not cancel."""
    displaced = reduced(scene(rows * RATIO, columns * RATIO))
    ms = torch.cat([displaced, 2000 - 1.5 * displaced[:1], 0.5 * displaced])

    found = phase_correlate(ms, scene(), RATIO)

    assert found == pytest.approx((rows, columns), abs=0.1)


def test_a_constant_or_unrelated_pair_has_no_estimate():
    """No band with contrast; no peak above the noise."""
    noise = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(8)) * 900

    assert phase_correlate(torch.full((2, SIDE, SIDE), 300.0), scene(), RATIO) is None
    assert phase_correlate(noise[:, :7, :7], scene()[:, :28, :28], RATIO) is None


def test_windows_are_combined_near_their_median():
    """Outliers and windows without an estimate do not count; a minority gives none."""
    shift = combine_shifts([(1.0, 2.0), (1.2, 2.0), None, (9.0, -9.0), (1.1, 2.3)])

    assert shift is not None
    assert (shift.rows, shift.columns) == pytest.approx((1.1, 2.1))
    assert (shift.agreeing, shift.windows) == (3, 5)
    assert combine_shifts([None, None]) is None
    assert combine_shifts([(0.0, 0.0), (5.0, 0.0), (-5.0, 0.0)]) is None

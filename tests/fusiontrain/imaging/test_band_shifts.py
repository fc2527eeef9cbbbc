"""Each band's own shift, found on ground that is known exactly."""

import pytest
import torch

from fusiontrain.imaging.band_shifts import estimate_band_shifts
from fusiontrain.imaging.filters import gain_to_sigma
from tests.support.displaced_pairs import displaced_pair

SIGMA = float(gain_to_sigma(torch.tensor(0.3), 4))


def test_each_band_is_found_where_it_lies():
    """Beside the shift of all; none for a band that PAN does not explain."""
    expected = torch.tensor([[0.4, -0.3], [0.0, 0.2], [-0.5, 0.1], [0.0, 0.0]])
    bands = [
        displaced_pair(1.0 + row, -0.5 + column).ms[0] for row, column in expected.tolist()[:3]
    ]
    rng = torch.Generator().manual_seed(1)
    ms = torch.stack([bands[0], 900 - bands[1], bands[2], torch.rand(64, 64, generator=rng)])

    found = estimate_band_shifts(ms, displaced_pair().pan, 4, SIGMA, (1.0, -0.5))

    torch.testing.assert_close(found, expected.double(), atol=0.05, rtol=0)


def test_an_uncertain_band_is_given_the_shift_of_the_most_similar():
    """Noise hides where a band lies, not which other it resembles."""
    rng = torch.Generator().manual_seed(1)
    sharp, other = displaced_pair(0.6, -0.4).ms[1], displaced_pair().ms[1]
    noisy = sharp + 0.5 * sharp.std() * torch.randn(sharp.shape, generator=rng)

    found = estimate_band_shifts(
        torch.stack([sharp, other, noisy]), displaced_pair().pan, 4, SIGMA, (0.0, 0.0)
    )

    assert [0.6, -0.4] == pytest.approx(found[0].tolist(), abs=0.05)
    assert [0.0, 0.0] == pytest.approx(found[1].tolist(), abs=0.05)
    assert found[2].equal(found[0])


def test_one_certain_band_alone_moves_none():
    """Its shift was copied to all others, however wrong it was."""
    rng = torch.Generator().manual_seed(1)
    sharp, pan = displaced_pair(0.6, -0.4).ms[1], displaced_pair().pan
    noisy = sharp + 0.5 * sharp.std() * torch.randn(2, 64, 64, generator=rng)

    def shifts(*bands):
        return estimate_band_shifts(torch.stack(bands), pan, 4, SIGMA, (0.0, 0.0))

    assert not bool(shifts(sharp, *noisy).any())
    assert not bool(shifts(*noisy).any())
    assert [0.6, -0.4] == pytest.approx(shifts(sharp, sharp, *noisy)[2].tolist(), abs=0.05)


def test_too_little_data_gives_no_shift():
    scene = displaced_pair(0.5, 0.5)
    valid = torch.zeros(64, 64, dtype=torch.bool)
    valid[20:36, 20:36] = True

    found = estimate_band_shifts(scene.ms, scene.pan, 4, SIGMA, (0.0, 0.0), valid)

    assert not bool(found.any())

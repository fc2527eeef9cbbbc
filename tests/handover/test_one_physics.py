"""simgen blurs in numpy, fusiontrain in torch: the same sensor."""

import numpy as np
import pytest
import torch

from fusiontrain.imaging.filters import degrade
from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.tar import read_samples
from simgen.physics.mtf import mtf_taps, observe, tap_count


@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
@pytest.mark.parametrize("gain", [0.15, 0.3, 0.5])
def test_the_two_blurs_agree(ratio, gain):
    """Taps, phase and border, to a thousandth of the image's spread."""
    image = np.random.default_rng(0).random((2, 20 * ratio, 24 * ratio)).astype(np.float32)
    taps = np.stack([mtf_taps(gain, ratio, tap_count(0.12, ratio))] * 2)

    ours = observe(image, taps, step=ratio)
    theirs = degrade(torch.from_numpy(image)[None], torch.full((1, 2), gain), ratio)[0]

    np.testing.assert_allclose(theirs, ours, atol=2e-3 if ratio > 2 else 4e-3)


def test_a_shards_ms_is_its_truth_seen_through_its_facts(small_build):
    """What the json says was applied, applied again by the other package."""
    for row in Manifest.load(small_build).shards:
        for _, members in read_samples(small_build / row.name):
            gt, ms, _, facts = decode_sample(members)
            again = degrade(
                torch.from_numpy(gt.astype("f4"))[None], torch.tensor([facts.mtf_ms]), facts.ratio
            )[0].numpy()
            # What is left is noise and quantisation: .2 % of full scale and shot noise.
            left = (again - ms)[:, 2:-2, 2:-2].std()
            assert left < 0.01 * 2**facts.bits
            assert left < 0.5 * max(ms.std(), 4)

"""What indices keep of a pair, and give again for its next fused image."""

import torch

from fusiontrain.metrics import d_rho, d_s
from fusiontrain.metrics.detail import sharpness_and_coloured_detail


def test_what_is_kept_of_a_pair_serves_the_next_fused_image():
    """The same values as without it, for each of two images; nodata too."""
    rng = torch.Generator().manual_seed(4)
    pan, ms = torch.rand(1, 64, 96, generator=rng) * 900, torch.rand(3, 16, 24, generator=rng) * 700
    valid = torch.ones(64, 96, dtype=torch.bool)
    valid[:7, :5] = False
    for mask in (None, valid):
        pair, of_pan = {}, {}
        for _ in range(2):
            fused = torch.rand(3, 64, 96, generator=rng) * 900
            given = {"ratio": 4, "valid": mask}
            assert d_rho(fused, pan, **given) == d_rho(fused, pan, **given, kept=of_pan)
            assert d_s(fused, ms, pan, **given) == d_s(fused, ms, pan, **given, kept=pair)
            with_kept = sharpness_and_coloured_detail(fused, pan, **given, of_pan=of_pan)
            assert sharpness_and_coloured_detail(fused, pan, **given) == with_kept
        assert pair
        assert of_pan

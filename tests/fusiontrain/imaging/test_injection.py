"""Detail injection: its images share a phase, its moments leave nodata out."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.injection import (
    injection_images,
    injection_moments,
)
from fusiontrain.imaging.pan_batch import PanBatch


def batch_of(bands=4, h=16, w=20, ratio=4, seed=0, size=1) -> PanBatch:
    rng = torch.Generator().manual_seed(seed)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=rng) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=rng) * 700 + 80
    gains = torch.rand(2, size, bands, generator=rng) * 0.4 + 0.15
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=gains[0], softness=gains[1])


def double(batch: PanBatch) -> PanBatch:
    return replace(
        batch,
        ms=batch.ms.double(),
        pan=batch.pan.double(),
        mtf=batch.mtf.double(),
        softness=batch.softness.double(),
    )


@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_the_injection_moves_nothing(ratio):
    """A PAN that rises evenly has no detail: blur, decimation and interpolation share a phase."""
    batch = double(batch_of(2, 32, 32, ratio))
    ramp = torch.arange(32 * ratio, dtype=torch.float64)
    images = injection_images(replace(batch, pan=(ramp[:, None] + 2 * ramp).expand(1, 1, -1, -1)))

    inner = slice(10 * ratio, -10 * ratio)
    assert float(images.detail[..., inner, inner].abs().max()) < 0.02


def test_nodata_does_not_count():
    """Sums over a part are those of what is left; an MS pixel counts if all over it do."""
    batch = double(batch_of(3, 8, 6))
    images = injection_images(batch)
    valid = torch.zeros(32, 24, dtype=torch.bool)
    valid[3:29, :14] = True

    found = injection_moments(images, valid)

    up, soft = images.up[..., valid], images.pan_soft[..., valid]
    assert int(valid.sum()) == found.count
    torch.testing.assert_close(found.sums[0], up.sum(-1))
    torch.testing.assert_close(found.sums[6], (up * soft).sum(-1))
    whole = batch.ms[..., 1:7, :3].flatten(2)
    torch.testing.assert_close(found.products[:, :3, :3], whole @ whole.mT)
    torch.testing.assert_close(found.minimum, whole.amin(-1))

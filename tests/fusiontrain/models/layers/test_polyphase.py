"""Blur and interpolation in polyphase form against those of whole images."""

import pytest
import torch

from fusiontrain.imaging.filters import blur, gain_to_sigma, upsample
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.layers.polyphase import (
    blur_polyphase,
    from_polyphase,
    to_polyphase,
    upsample_polyphase,
)


def batch_of(bands=4, h=8, w=6, ratio=4, size=1, phase="aligned", dtype=torch.float64) -> PanBatch:
    rng = torch.Generator().manual_seed(bands)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=rng, dtype=dtype) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=rng, dtype=dtype) * 700 + 80
    mtf, softness = torch.rand(2, size, bands, generator=rng, dtype=dtype) * 0.5 + 0.1
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=mtf, softness=softness, phase=phase)


@pytest.mark.parametrize("alike", [False, True], ids=["bands differ", "bands alike"])
@pytest.mark.parametrize("softness", [0.02, 0.3, 0.95])
def test_planes_of_a_blur(softness, alike):
    """One convolution from planes to planes is filters.blur of the image."""
    batch = batch_of(3, 6, 5, size=2)
    gains = torch.full_like(batch.mtf, softness)
    gains = gains if alike else gains * torch.tensor([1.0, 0.97, 1.02])
    sigma = gain_to_sigma(gains, 1)

    soft = blur_polyphase(batch.pan, sigma).expand(2, 3, -1, -1, -1)

    torch.testing.assert_close(
        from_polyphase(soft, 24, 20), blur(batch.pan, sigma), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("phase", ["aligned", "toolbox"])
@pytest.mark.parametrize("ratio", [2, 3, 4, 6])
def test_planes_of_an_interpolation(ratio, phase):
    """Made plane by plane, or cut from the image: the same."""
    image = batch_of(3, 7, 5, size=2).ms

    planes = upsample_polyphase(image, ratio, phase)

    torch.testing.assert_close(planes, to_polyphase(upsample(image, ratio, phase)))

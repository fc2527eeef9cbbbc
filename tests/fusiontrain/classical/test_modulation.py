"""Methods that divide by PAN or by an intensity, where that is near zero."""

import pytest
import torch

from fusiontrain.classical import METHODS
from fusiontrain.imaging.filters import blur, gain_to_sigma, reduce_pan

DIVIDING = ["MTF-GLP-HPM", "MTF-GLP-HPM-R", "Brovey", "AWLP", "BT-H"]


@pytest.fixture(scope="module")
def ground():
    """(truth, pan, ms) of boxes and texture, 0.2 to 1 of full scale; 4 bands, ratio 4."""
    rng = torch.Generator().manual_seed(3)
    truth = torch.full((1, 4, 192, 192), 0.3)
    for _ in range(150):
        y, x = torch.randint(0, 180, (2,), generator=rng).tolist()
        h, w = torch.randint(6, 50, (2,), generator=rng).tolist()
        bright, colour = torch.rand(1, generator=rng), torch.rand(1, 4, 1, 1, generator=rng)
        truth[..., y : y + h, x : x + w] = 0.2 + 0.5 * bright + 0.2 * colour
    truth += 0.02 * torch.randn(truth.shape, generator=rng)
    pan = (truth * torch.tensor([0.15, 0.3, 0.3, 0.25])[:, None, None]).sum(1, keepdim=True)
    ms = reduce_pan(blur(truth, gain_to_sigma(torch.full((1, 4), 0.6), 4)), 4)
    return truth[0], pan[0], ms[0]


def darkened(ground, kind):
    """The scene with its darkest sixth about or under zero."""
    shifted = [image - 0.33 for image in ground]
    if kind == "reflectance":  # the darkest pixels below 0, as after a correction of haze
        return [image / 10 for image in shifted]
    full = {"8 bits": 255, "11 bits": 2047, "16 bits": 65535}[kind]
    return [(image.clamp_min(0) * full).round() for image in shifted]


@pytest.mark.parametrize("soft", ["", " soft"])
@pytest.mark.parametrize("kind", ["reflectance", "8 bits", "11 bits", "16 bits"])
@pytest.mark.parametrize("name", DIVIDING)
def test_dark_ground_stays_dark(ground, name, kind, soft):
    """No sample lies far outside MS and PAN, and details are no worse than none."""
    truth, pan, ms = darkened(ground, kind)
    method = METHODS[name + soft]

    fused = method(ms, pan, pan_softness=0.5 if soft else None)

    low, high = (float(f(torch.cat((ms.flatten(), pan.flatten())))) for f in (torch.min, torch.max))
    assert fused.min() > low - 0.5 * (high - low)
    assert fused.max() < high + 0.5 * (high - low)
    error, without = (
        (image - truth).square().mean().sqrt() for image in (fused, METHODS["EXP"](ms, pan))
    )
    assert error < 1.1 * without


@pytest.mark.parametrize("name", DIVIDING)
@pytest.mark.parametrize("value", [0.0, -1e-3, 1e-30])
def test_ground_without_light_is_finite(name, value):
    """Every divisor is zero there, or about it."""
    ms, pan = torch.full((4, 16, 16), value), torch.full((1, 64, 64), value)
    ms[:, 4:8, 4:8], pan[:, 16:32, 16:32] = 1.0, 2.0

    fused = METHODS[name](ms, pan)

    assert bool(fused.isfinite().all())
    assert fused.abs().max() < 10


@pytest.mark.parametrize("name", DIVIDING)
def test_lit_ground_keeps_its_pixels(ground, name):
    """Where no divisor is small, the aligned phase is the published formula."""
    _, pan, ms = (image * 1000 + 3000 for image in ground)

    fused = METHODS[name](ms, pan)

    assert bool((fused > 2500).all())
    assert bool((fused < 4700).all())

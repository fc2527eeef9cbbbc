"""Four-direction SSD: each direction alone."""

import pytest
import torch

from fusiontrain.models.layers.four_direction_ssd import FourDirectionSSD


@pytest.mark.parametrize(("axis", "turn"), [(2, False), (2, True), (3, False), (3, True)])
def test_four_ways_look_four_ways(axis, turn):
    """With one direction's features alone, a pixel depends on those before it on its own line."""
    torch.manual_seed(0)
    net = FourDirectionSSD(8, states=2).double()
    way = (2 if axis == 2 else 0) + turn  # rows, backwards, columns, backwards
    with torch.no_grad():
        net.near.weight.zero_()
        net.near.weight[:, :, 1, 1] = 1  # the convolution looks nowhere
        net.skip.zero_()
        only = torch.arange(16) // 4 == way
        net.leave.weight.normal_()
        net.leave.weight *= only
        net.norm_last = torch.nn.Identity()
    image = torch.randn(1, 8, 6, 7, dtype=torch.float64, requires_grad=True)

    net(image)[0, :, 3, 3].sum().backward()

    seen = image.grad[0].abs().sum(0) > 0
    line = seen[:, 3] if axis == 2 else seen[3]
    places = torch.arange(len(line))
    assert torch.equal(line, places >= 3 if turn else places <= 3)
    assert int(seen.sum()) == int(line.sum())

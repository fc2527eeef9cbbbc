"""Four-direction SSD: each direction alone."""

import pytest
import torch

from fusiontrain.models.layers.four_direction_ssd import FourDirectionSSD


@pytest.mark.parametrize(("axis", "backwards"), [(2, False), (2, True), (3, False), (3, True)])
def test_each_direction_depends_on_its_own_line(axis, backwards):
    """With one direction's features alone, a pixel depends on those before it on its own line."""
    torch.manual_seed(0)
    net = FourDirectionSSD(8, states=2).double()
    direction = (2 if axis == 2 else 0) + backwards  # rows, backwards, columns, backwards
    with torch.no_grad():
        net.near.weight.zero_()
        net.near.weight[:, :, 1, 1] = 1  # the convolution is the identity
        net.skip.zero_()
        only = torch.arange(16) // 4 == direction
        net.leave.weight.normal_()
        net.leave.weight *= only
        net.norm_last = torch.nn.Identity()
    image = torch.randn(1, 8, 6, 7, dtype=torch.float64, requires_grad=True)

    net(image)[0, :, 3, 3].sum().backward()

    depends = image.grad[0].abs().sum(0) > 0
    line = depends[:, 3] if axis == 2 else depends[3]
    index = torch.arange(len(line))
    assert torch.equal(line, index >= 3 if backwards else index <= 3)
    assert int(depends.sum()) == int(line.sum())

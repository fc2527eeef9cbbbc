"""Widening: the same output from more channels, all of which can be trained."""

import pytest
import torch

from fusiontrain.models.anyband.default_network import AnyBand
from fusiontrain.models.anyband.widening import widen
from tests.support.networks import batch_of

pytestmark = pytest.mark.usefixtures("one_thread")


def perturbed(width: int, blocks: int = 2) -> AnyBand:
    torch.manual_seed(width)
    net = AnyBand(width=width, blocks=blocks)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return net


def test_the_wider_network_gives_the_same():
    """Though its new channels hold something, the old ones do not read it."""
    narrow, wide, batch = (
        perturbed(8).double(),
        perturbed(12).double(),
        batch_of(3, dtype=torch.float64),
    )

    widen(wide, narrow.state_dict())

    with torch.no_grad():
        torch.testing.assert_close(wide(batch), narrow(batch))
    assert wide.stem.weight[8:].any()


def test_training_reaches_every_new_channel():
    """In two steps: the first opens the way out of a channel, the second changes what it holds."""
    narrow, wide, batch = perturbed(8), perturbed(12), batch_of(3)
    widen(wide, narrow.state_dict())
    before = {name: p.detach().clone() for name, p in wide.named_parameters()}
    optimizer = torch.optim.SGD(wide.parameters(), lr=1e-3)

    for _ in range(2):
        optimizer.zero_grad()
        (wide(batch) / batch.ms.mean()).square().mean().backward()
        optimizer.step()

    moved = {name: p != before[name] for name, p in wide.named_parameters()}
    assert moved["head.weight"][:, 8:].all()
    assert moved["stem.weight"][8:].flatten(1).any(1).all()


@pytest.mark.parametrize("other", [perturbed(16), perturbed(8, blocks=3)])
def test_what_is_not_narrower_is_refused(other):
    """Wider weights, and deeper ones."""
    with pytest.raises(ValueError, match="wider"):
        widen(perturbed(12), other.state_dict())

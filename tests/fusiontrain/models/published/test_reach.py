"""Published networks: the receptive field that the registry states."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.models.registry import MODELS, WHOLE_IMAGE_HALO, build_model
from tests.support.networks import batch_of, small

PUBLISHED = sorted(name for name in MODELS if not MODELS[name].any_band)


# Small enough to run often; what is asked does not depend on width.
pytestmark = pytest.mark.usefixtures("one_thread")


# Positions in a window with the largest receptive field, found by trying all.
FARTHEST = {"panformer": (0, 15), "swinir": (4,), "swinir-small": (4,)}


NARROW = {
    "gppnn": {"width": 16},
    "panformer": {"width": 8, "heads": 1},
    "swinir": {"width": 4, "heads": 1},
    "swinir-small": {"width": 4, "heads": 1},
}


def gradient_reach(net: torch.nn.Module, at: int, axis: int, side: int, wide: int) -> int:
    """PAN pixels from output pixel `at` of a strip to the farthest input it depends on."""
    shape = (side, wide) if axis == 0 else (wide, side)
    batch = batch_of(net.bands, *shape, dtype=torch.float64)
    batch.pan.requires_grad_(True)
    batch.ms.requires_grad_(True)
    place = (at, 2 * wide) if axis == 0 else (2 * wide, at)
    net(batch)[0, 0, place[0], place[1]].backward()
    fine = torch.nonzero(batch.pan.grad[0, 0].abs().sum(1 - axis))[:, 0]
    coarse = 4 * torch.nonzero(batch.ms.grad[0].abs().sum((0, 2 - axis)))[:, 0]
    ends = (fine.min(), fine.max(), coarse.min(), coarse.max() + 3)
    return max(abs(int(end) - at) for end in ends)


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("model", [name for name in PUBLISHED if MODELS[name].reach is not None])
def test_reach_is_the_receptive_field(model, axis):
    """Gradients of one output pixel, for the positions on the grid that can be farthest."""
    entry = MODELS[model]
    net = small_of_full_depth(model)
    grid = max(4, entry.multiple_of)
    side = 2 * (-(-entry.reach // grid) + 1) * grid // 4
    middle = side * 2 // grid * grid
    places = {middle + i for i in FARTHEST.get(model, range(grid))}

    reaches = [gradient_reach(net, at, axis, side, grid // 4 + 3) for at in sorted(places)]

    assert entry.reach == max(reaches)


@pytest.mark.parametrize("model", [name for name in PUBLISHED if MODELS[name].reach is not None])
def test_a_window_fuses_as_the_scene_does(model):
    """Cut on the network's own grid, with a halo: the same pixels."""
    net, grid = small(model).double().eval(), max(4, MODELS[model].multiple_of)
    halo = grid * -(-MODELS[model].halo(4) // grid)
    start = halo + grid
    batch = batch_of(4, 3, (start + 2 * halo + 64) // 4, dtype=torch.float64)
    from_, to = start - halo, start + 16 + halo
    window = replace(batch, ms=batch.ms[..., from_ // 4 : to // 4], pan=batch.pan[..., from_:to])

    with torch.no_grad():
        whole, part = net(batch), net(window)

    torch.testing.assert_close(whole[..., start : start + 16], part[..., halo : halo + 16])


def small_of_full_depth(name: str) -> torch.nn.Module:
    """Narrow where depth is slow, yet wide enough that no ReLU closes a whole path."""
    torch.manual_seed(1)
    sizes = {**MODELS[name].sizes, "bands": 4, **NARROW.get(name, {})}
    return build_model(name, **sizes).double().eval()


@pytest.mark.parametrize("model", [name for name in PUBLISHED if MODELS[name].reach is None])
def test_networks_without_a_reach_depend_on_everything(model):
    """The last pixel depends on the first; windows of a large scene overlap all the same."""
    batch = batch_of(4, 8, 8, dtype=torch.float64)
    batch.pan.requires_grad_(True)

    small(model).double()(batch)[0, 0, -1, -1].backward()

    assert float(batch.pan.grad[0, 0, 0, 0].abs()) > 0
    assert MODELS[model].halo(4) >= WHOLE_IMAGE_HALO

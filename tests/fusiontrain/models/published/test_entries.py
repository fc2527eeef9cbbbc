"""Published networks: their sizes against the papers, and that they learn."""

import pytest
import torch

from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.losses import relative_l1
from tests.support.networks import batch_of, small

# Small enough to run often; what is asked does not depend on width.
pytestmark = pytest.mark.usefixtures("one_thread")


# (model, bands, parameters, relative tolerance, where the count is printed)
COUNTS = [
    ("pnn", 8, 104_000, 0.005, "104 k, as comparisons of the PanCollection papers print it"),
    ("pannet", 8, 83_000, 0.005, "78-83 k, from the same"),
    ("msdcnn", 8, 229_000, 0.005, "229 k, from the same"),
    ("fusionnet", 8, 79_000, 0.006, "76-79 k, from the same"),
    ("fusionnet", 4, 76_000, 0.006, "76-79 k, from the same"),
    ("lagconv", 8, 150_000, 0.01, "54-150 k, from the same"),
    ("panformer", 4, 1_530_300, 0.004, "1.5303 M from memory, not checked; 5,120 are masks"),
    ("panmamba", 4, 480_000, 0.05, "0.48 M; ours lacks 6 k that nothing uses, see its docstring"),
    ("gppnn", 4, 119_800, 0.001, "0.1198 M at 4 bands, from memory, not checked"),
]


# (model, the loss must fall to this part of its start in so many steps, learning rate)
OVERFIT = [
    ("fusionnet", 0.8, 20, 2e-3),
    ("swinir", 0.8, 20, 2e-3),
    ("panmamba", 0.8, 20, 4e-3),
    ("gppnn", 0.8, 20, 2e-3),
]


@pytest.mark.parametrize(("model", "bands", "count", "tolerance", "source"), COUNTS)
def test_as_many_parameters_as_in_print(model, bands, count, tolerance, source):
    """The published count, at the bands it was counted at."""
    with torch.device("meta"):
        net = build_model(model, **{**MODELS[model].sizes, "bands": bands})

    assert pytest.approx(count, rel=tolerance) == sum(p.numel() for p in net.parameters())


def test_swinirs_count_is_the_papers_but_for_what_the_pan_adds():
    """897 k in print (from memory, not checked), without tables of distances; RGB, no PAN."""
    tables = 4 * 6 * 15**2 * 6
    first, last = 9 * 60 * (4 + 16 - 3), (9 * 60 + 1) * 16 * (4 - 3)

    assert 897 == round((MODELS["swinir"].params - tables - first - last) / 1000)


@pytest.mark.parametrize(("model", "part", "steps", "rate"), OVERFIT)
def test_one_of_each_family_learns(model, part, steps, rate):
    """Overfitting one pair: a smooth truth with the PAN's detail."""
    torch.manual_seed(0)
    net, batch = small(model), batch_of(h=4, w=4, size=2)
    detail = batch.pan - batch.pan.mean()
    truth = batch.ms.repeat_interleave(4, 2).repeat_interleave(4, 3) + 0.3 * detail
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)

    losses = []
    for _ in range(steps):
        loss = relative_l1(net(batch), truth, batch.ms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < part * losses[0]

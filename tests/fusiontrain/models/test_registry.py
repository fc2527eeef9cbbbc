"""The registry: its counts, names and grid; unknown models."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fusiontrain.errors import UnknownModel
from fusiontrain.fusion.window_loop import CORE
from fusiontrain.models.registry import MODELS, build_model
from tests.support.networks import batch_of
from tests.support.paths import ROOT

# Small enough to run often; what is asked does not depend on width.
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_the_table_counts_right(entry):
    """Parameters, and FLOPs per PAN pixel as torch's own counter sees them."""
    net = entry.build(**entry.sizes)
    side = 8 if entry.family == "mamba" else 16  # scans are slow to count, and count alike
    batch = batch_of(entry.sizes.get("bands", 4), side, side)

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(batch)

    assert entry.params == sum(p.numel() for p in net.parameters())
    assert pytest.approx(entry.flops, rel=0.01) == counter.get_total_flops() / (4 * side) ** 2


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_freeze_tuning_names_real_parameters(entry):
    """Every prefix matches some; together they are less than half."""
    with torch.device("meta"):
        net = entry.build(**entry.sizes)
    sizes = {n: p.numel() for n, p in net.named_parameters()}

    for prefix in entry.freeze_tuning_prefixes:
        assert any(n.startswith(prefix) for n in sizes), prefix
    tuned = sum(size for n, size in sizes.items() if n.startswith(entry.freeze_tuning_prefixes))
    assert 0 < tuned < sum(sizes.values()) / 2


def test_windows_start_on_the_networks_own_grid():
    """Otherwise attention's windows would differ from window to window of a scene."""
    for entry in MODELS.values():
        assert CORE % entry.multiple_of == 0
        assert entry.halo(4) % entry.multiple_of == 0


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_the_documentation_says_what_the_table_says(entry):
    """Paper, counts, reach and FLOPs of docs/reference/models.md."""
    text = (ROOT / "docs" / "reference" / "models.md").read_text()

    row = next(line for line in text.splitlines() if line.startswith(f"| {entry.name} | "))

    reach = "all" if entry.reach is None else entry.reach
    for said in (entry.paper, entry.published, f"{entry.params:,}", reach, f"{entry.flops:,}"):
        assert f"| {said} |" in row


def test_unknown_models_and_sizes_are_refused():
    """The message names the models that exist."""
    with pytest.raises(UnknownModel, match="anyband"):
        build_model("nonesuch")
    with pytest.raises(TypeError):
        build_model("anyband", widht=3)

"""PanBatch: shapes that do not fit are refused."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.filters import taps_on
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.registry import build_model


def test_shapes_that_do_not_fit_are_refused():
    """PAN of another size; one gain a band."""
    gains = torch.full((1, 4), 0.3)
    batch = PanBatch(
        ms=torch.zeros(1, 4, 5, 6),
        pan=torch.zeros(1, 1, 20, 24),
        ratio=4,
        mtf=gains,
        softness=gains,
    )

    with pytest.raises(ShapeError, match="PAN must be"):
        replace(batch, ratio=3)
    with pytest.raises(ShapeError, match="softness must be"):
        replace(batch, softness=torch.zeros(1, 2))


@pytest.mark.parametrize("name", ["anyband", "anyband-panformer", "anyband-gppnn"])
def test_a_forward_reads_nothing_back_from_its_device(name, monkeypatch):
    """On torch's device without values, which can give none: gains stay on the CPU."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # meta has none
    gains = torch.tensor([[0.25, 0.3, 0.35, 0.4]])
    batch = PanBatch(
        ms=torch.ones(1, 4, 16, 16),
        pan=torch.ones(1, 1, 64, 64),
        ratio=4,
        mtf=gains,
        softness=gains,
    ).to(torch.device("meta"))
    net = build_model(name).to("meta")

    fused = net(batch)

    assert ("cpu", "cpu") == (batch.mtf.device.type, batch.softness.device.type)
    assert ("meta", (1, 4, 64, 64)) == (fused.device.type, tuple(fused.shape))


def test_taps_are_copied_to_a_device_once():
    where = (4, "aligned", torch.float32, torch.device("meta"))

    assert taps_on(*where) is taps_on(*where)
    assert "meta" == taps_on(*where).device.type

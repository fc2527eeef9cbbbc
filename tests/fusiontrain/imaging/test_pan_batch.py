"""PanBatch: shapes that do not fit are refused."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.pan_batch import PanBatch


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

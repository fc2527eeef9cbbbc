"""The last steps of the target `scene`, in their order."""

import pytest
import torch

from fusiontrain.imaging.colour_damping import bound_colours, damp_colours
from fusiontrain.imaging.dark_texture import keep_dark_texture
from fusiontrain.imaging.injection import scene_part
from fusiontrain.imaging.ms_consistency import COLOURS, step_to_ms
from fusiontrain.models.anyband.default_network import AnyBand
from tests.support.networks import batch_of, random_network

pytestmark = pytest.mark.usefixtures("one_thread")


def test_colours_and_texture_are_set_after_the_step_to_the_ms():
    """What the step spreads into a shadow beside bright ground is bounded too."""
    net, batch = random_network("anyband-scene"), batch_of()
    batch.mtf[:] = 0.1  # very soft: colours are damped
    part = scene_part(batch)

    def corrected(fused):
        fused = keep_dark_texture(damp_colours(fused, part, batch.mtf), part)
        return bound_colours(fused, part, batch.mtf, slice(0, 32), slice(0, 40))

    def stepped(fused):
        return step_to_ms(fused, batch, smoothing=COLOURS)

    with torch.no_grad():
        first = AnyBand.forward(net, batch)
        torch.testing.assert_close(net(batch), corrected(stepped(first)))
        assert (net(batch) - stepped(corrected(first))).abs().max() > 1

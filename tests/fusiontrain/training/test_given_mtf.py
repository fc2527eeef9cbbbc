"""The MTF that a network is given in training has the error of an estimate."""

import pytest
import torch
from torch import nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.fusion.sensor_model import MTF_LIMITS
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import fit
from fusiontrain.training.given_mtf import with_mtf_error


def batch(samples: int) -> PanBatch:
    mtf = torch.tensor([[0.2, 0.3, 0.4, 0.5]]).expand(samples, -1)
    return PanBatch(
        ms=torch.rand(samples, 4, 1, 1),
        pan=torch.rand(samples, 1, 4, 4),
        ratio=4,
        mtf=mtf,
        softness=mtf,
    )


def test_mtfs_have_the_error_that_is_asked_for():
    """Spread and mean of 4,000 draws; half of them one number for all bands; softness exact."""
    torch.manual_seed(0)
    inputs = batch(4000)

    given = with_mtf_error(inputs, 0.1)

    alike = (given.mtf == given.mtf[:, :1]).all(1)
    assert 0.5 == pytest.approx(float(alike.float().mean()), abs=0.03)
    factors = (given.mtf[alike] / 0.35).log()[:, 0]
    assert 0 == pytest.approx(float(factors.mean()), abs=0.01)
    assert 0.1 == pytest.approx(float(factors.std()), abs=0.01)
    assert MTF_LIMITS[0] <= float(given.mtf.min()) <= float(given.mtf.max()) <= MTF_LIMITS[1]
    assert given.softness is inputs.softness


class Recording(nn.Module):
    """Keeps the MTFs that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.given = []

    def forward(self, inputs: PanBatch) -> torch.Tensor:
        self.given.append(inputs.mtf)
        return self.gain * inputs.pan.expand(-1, 4, -1, -1)


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_the_network_is_given_the_error_and_the_loss_the_truth(error):
    net, inputs, of_loss = Recording(), batch(2), []
    training = TrainingBatch(inputs=inputs, truth=torch.rand(2, 4, 4, 4))

    def loss(fused, truth, batch):
        of_loss.append(batch.mtf)
        return (fused - truth).abs().mean()

    fit(net, [training], TrainConfig(max_steps=1, mtf_error=error), loss=loss)

    assert torch.equal(inputs.mtf, of_loss[0])
    assert (error == 0) == torch.equal(inputs.mtf, net.given[0])

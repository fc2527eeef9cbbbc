"""Every any-band network learns, is saved and loaded, and is used by the commands."""

from dataclasses import replace

import pytest
import rasterio
import torch

from fusiontrain.cli import main
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.imaging.injection import injection_images
from fusiontrain.imaging.ms_consistency import COLOURS, step_to_ms
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.inputs import make_inputs
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.losses import relative_l1

MEMBERS = sorted(name for name in MODELS if MODELS[name].any_band)


# One of each family in every run; the others differ from these in their layers alone.
IN_COMMANDS = ("anyband-pannet", "anyband-restormer", "anyband-fusionmamba", "anyband-gppnn")


pytestmark = pytest.mark.usefixtures("one_thread")


def batch_of(bands=4, h=5, w=4, ratio=4, size=2) -> PanBatch:
    rng = torch.Generator().manual_seed(3)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=rng) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=rng) * 700 + 80
    gains = torch.full((size, bands), 0.3)
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=gains, softness=gains)


def test_every_family_has_its_members():
    """Besides the default network."""
    families = [MODELS[name].family for name in MEMBERS]

    for family, least in (("cnn", 2), ("transformer", 2), ("mamba", 2), ("unfolding", 1)):
        assert families.count(family) >= least


@pytest.mark.parametrize("name", MEMBERS)
def test_it_learns(name):
    """Overfitting: the truth is the injection plus half of the PAN's finest detail.

    The injection's own error is the first loss: the network starts as it, and as its last step.
    """
    torch.manual_seed(0)
    net, batch = build_model(name), batch_of()
    images = injection_images(batch)
    stats = make_inputs(batch).stats
    injected = images.up + stats.gain[..., None, None] * images.detail
    truth = injected + 0.5 * (batch.pan - images.pan_soft)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)

    losses = []
    for _ in range(40):
        loss = relative_l1(net(batch), truth, batch.ms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    smoothing = {"anyband-scene": COLOURS, "anyband-sensor": 0.0}.get(name)
    start = injected if smoothing is None else step_to_ms(injected, batch, smoothing=smoothing)
    assert losses[0] == pytest.approx(float(relative_l1(start, truth, batch.ms)), rel=1e-5)
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("name", MEMBERS)
def test_gradients_reach_every_parameter(name):
    """Nothing is built that nothing uses; the last layer must have left zero."""
    torch.manual_seed(0)
    net = build_model(name)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))

    net(batch_of()).square().mean().backward()

    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", MEMBERS)
def test_checkpoints_bring_back_bits(name, tmp_path):
    """From the sizes a checkpoint records, and nothing else."""
    torch.manual_seed(0)
    net, batch = build_model(name, **MODELS[name].sizes).eval(), batch_of(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    info = CheckpointInfo(model=name, sizes=MODELS[name].sizes, training={})

    save_checkpoint(tmp_path / "w.safetensors", net, info)
    loaded, found = load_checkpoint(tmp_path / "w.safetensors")

    assert info == found
    with torch.no_grad():
        assert torch.equal(net(batch), loaded(batch))


@pytest.mark.parametrize("name", MEMBERS)
def test_both_phases_are_taken(name):
    """Where MS pixels lie is the batch's word; another phase, another picture."""
    torch.manual_seed(0)
    net, batch = build_model(name).eval(), batch_of()

    with torch.no_grad():
        aligned, toolbox = (net(replace(batch, phase=p)) for p in ("aligned", "toolbox"))

    assert torch.isfinite(toolbox).all()
    assert not torch.allclose(aligned, toolbox)


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_COMMANDS)
def test_commands_train_and_fuse_with_it(name, small_build, odd_pair, tmp_path):
    """Shards of 3 and 4 bands in, weights out, a scene of 5 fused."""
    run, fused = tmp_path / "run", tmp_path / "fused.tif"
    train = ["pretrain", "--model", name, "--shards", str(small_build), "--out", str(run)]
    train += ["--crop", "32", "--batch-size", "4", "--max-steps", "30"]

    assert 0 == main(train)
    assert 0 == main(
        ["fuse", *odd_pair(5), str(fused), "--weights", str(run / "model.safetensors")]
    )

    # Against the network as built, on batches of its own shards: rows of a log are of other crops.
    data = IndexedShards([ShardSet(folder=small_build)], batch=4, crop=32, seed=1)
    batches = [data[i] for i in range(6)]
    trained, built = load_checkpoint(run / "model.safetensors")[0], build_model(name).eval()
    with torch.no_grad():
        errors = [
            sum(float(relative_l1(net(b.inputs), b.truth, b.inputs.ms)) for b in batches)
            for net in (trained, built)
        ]
    assert errors[0] < errors[1]
    with rasterio.open(fused) as file:
        assert (5, 148, 92) == (file.count, *file.shape)

"""One step in pieces; what is not finite; what a run measures and draws along the way."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fusiontrain.cli import main
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.errors import TrainingError
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.losses import LOSSES, consistent_l1, relative_l1
from fusiontrain.training.nonfinite import MOST_BAD_STEPS, NonFiniteGuard, ranges
from fusiontrain.training.optimizer import make_optimizer
from fusiontrain.training.train_step import StepResult, TrainStep
from fusiontrain.training.validation import also_trained_on, hold
from shards.manifest import Manifest
from tests.support.geotiffs import write_pair

TINY = ["--crop", "16", "--batch-size", "4", "--log-steps", "1"]


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def data(small_build):
    return IndexedShards([ShardSet(folder=small_build)], batch=4, crop=32, seed=3)


@pytest.mark.parametrize("pieces", [2, 4])
def test_gradients_of_the_pieces_are_those_of_the_batch(data, tmp_path, pieces):
    """And those of plain torch, without any of our machinery."""
    distributed = Distributed(precision="no", trackers=(), out=tmp_path)
    config = TrainConfig(clip_norm=0.0)
    gradients, results = [], []
    for accumulate in (1, pieces):
        torch.manual_seed(0)
        net = build_model("anyband", width=8, blocks=1)
        torch.nn.init.normal_(net.head.weight, std=0.1)
        net, optimizer = distributed.prepare(net, make_optimizer(net, config, ()))
        step = TrainStep(
            processes=distributed,
            net=net,
            optimizer=optimizer,
            loss=LOSSES[config.loss],
            clip_norm=config.clip_norm,
            accumulate=accumulate,
        )
        results.append(step(data[0], 0.0))
        gradients.append([p.grad.clone() for p in net.parameters()])
    net.zero_grad()
    relative_l1(net(data[0].inputs), data[0].truth, data[0].inputs.ms).backward()
    gradients.append([p.grad for p in net.parameters()])

    scale = max(float(g.abs().max()) for g in gradients[0])
    for one, other, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * scale)
        torch.testing.assert_close(one, plain, rtol=1e-4, atol=1e-5 * scale)
    assert pytest.approx(results[0].loss, rel=1e-6) == results[1].loss
    assert pytest.approx(results[0].norm, rel=1e-5) == results[1].norm


def test_a_batch_that_does_not_divide_is_refused(small_build, tmp_path, capsys):
    command = ["pretrain", "--shards", str(small_build), "--out", str(tmp_path / "o"), *TINY]

    assert 2 == main([*command, "--accumulate", "3"])
    assert "must divide by processes x --accumulate = 1 x 3; got 4" in capsys.readouterr().err


def test_a_step_that_is_not_finite_moves_nothing(data, tmp_path):
    """Neither weights nor moments; the loss may be finite and its gradient not."""
    distributed = Distributed(precision="no", trackers=(), out=tmp_path)
    net = build_model("anyband", width=8, blocks=1)
    net, optimizer = distributed.prepare(net, make_optimizer(net, TrainConfig(), ()))
    before = [p.detach().clone() for p in net.parameters()]
    net.head.bias.register_hook(lambda gradient: gradient * torch.inf)

    step = TrainStep(
        processes=distributed, net=net, optimizer=optimizer, loss=consistent_l1, clip_norm=1.0
    )
    done = step(data[0], 1.0)

    assert not done.finite
    assert np.isfinite(done.loss)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert not optimizer.optimizer.state


def test_the_guard_counts_and_forgives():
    """Twenty in a row end a run; nineteen, however often, do not."""
    good, bad = (StepResult(loss=x, norm=1.0, rate=0.1) for x in (1.0, float("nan")))
    guard, dumps = NonFiniteGuard(skipped=3), []

    def dump():
        dumps.append(1)
        return Path("there")

    for _ in range(2):
        for _ in range(MOST_BAD_STEPS - 1):
            guard.check(bad, 1, dump)
        guard.check(good, 1, dump)
    assert 3 + 2 * (MOST_BAD_STEPS - 1) == guard.skipped
    for _ in range(MOST_BAD_STEPS - 1):
        guard.check(bad, 1, dump)
    assert not dumps
    with pytest.raises(TrainingError, match=r"20 steps in a row, last at step 7; .* in there"):
        guard.check(bad, 7, dump)


def test_a_run_that_explodes_leaves_what_to_look_at(small_build, tmp_path, capsys):
    """Of the last batch: its tensors, its samples by shard and number, all ranges, the state."""
    out = tmp_path / "run"
    command = ["pretrain", "--shards", str(small_build), "--out", str(out), *TINY]
    wild = ["--learning-rate", "1e30", "--warmup-steps", "0", "--max-steps", "60"]

    assert 2 == main([*command, *wild, "--tracker", "none"])

    said = capsys.readouterr().err
    assert "not finite for 20 steps in a row" in said
    (folder,) = out.glob("not-finite-step-*")
    assert str(folder) in said
    assert "not finite for 20 steps in a row" in said
    facts = json.loads((folder / "rank-0" / "facts.json").read_text())
    batch = load_file(folder / "rank-0" / "batch.safetensors")
    assert 4 == len(facts["samples"]) == len(batch["gt"])
    assert all(str(small_build) in sample for sample in facts["samples"])
    assert facts["batch"]["gt"]["max"] == float(batch["gt"].max())
    assert 0 == facts["batch"]["gt"]["not_finite"]
    assert list((folder / "states").glob("step-*/DONE"))
    assert not (out / "model.safetensors").exists()


def test_ranges_leave_out_what_is_not_finite():
    given = ranges(torch.tensor([1.0, torch.nan, 3.0, torch.inf]))

    assert {"shape": [4], "not_finite": 2, "min": 1.0, "max": 3.0, "mean": 2.0} == given


@pytest.fixture(scope="module")
def looked_at(small_build, tmp_path_factory):
    """A run with averaged weights, measured and drawn along the way; and the same without."""
    folder, scene = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("scene") / "s"
    write_scene(scene)
    command = ["pretrain", "--shards", str(small_build), *TINY, "--max-steps", "12"]
    command += ["--ema-decay", "0.9"]
    more = ["--validate", str(small_build), "--validate-steps", "5", "--scenes", str(scene)]
    assert 0 == main([*command, *more, "--picture-steps", "6", "--out", str(folder / "seen")])
    assert 0 == main([*command, "--tracker", "none", "--out", str(folder / "plain")])
    return folder / "seen", folder / "plain"


def write_scene(folder):
    """A pair with a PAN that the MS's bands make up; 4 bands, ratio 4."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    fine = rng.integers(100, 900, (64, 64)).repeat(8, 0).repeat(8, 1).astype("uint16")
    ms = np.stack([fine.reshape(128, 4, 128, 4).mean((1, 3)) * g for g in (0.6, 0.8, 1.0, 1.2)])
    write_pair(folder, fine[None], ms.astype("uint16"), name="x")


def test_measuring_and_drawing_disturb_nothing(looked_at):
    """Losses and weights are those of a run that is left alone, bit for bit."""
    losses = [[r["step_loss"] for r in rows(out / "log.csv")] for out in looked_at]
    nets = [load_checkpoint(out / "model.safetensors")[0].state_dict() for out in looked_at]

    assert losses[0] == losses[1]
    assert 12 == len(losses[0])
    for name, value in nets[0].items():
        assert torch.equal(value, nets[1][name]), name


def test_held_builds_and_real_scenes_are_measured(looked_at, small_build):
    """At steps 5, 10 and the end; the last row is what the last weights reach."""
    table = rows(looked_at[0] / "validation.csv")
    net, info = load_checkpoint(looked_at[0] / "model.safetensors")
    held = hold(small_build, None, 32)

    assert ["5", "10", "12"] == [row["step"] for row in table]
    with torch.no_grad():
        losses = [
            consistent_l1(net(b.inputs), b.truth, b.inputs)
            for b in map(held.data.__getitem__, held.numbers)
        ]
    assert 24 == len(losses)
    assert pytest.approx(float(torch.stack(losses).mean()), rel=1e-6) == float(
        table[-1]["held_loss"]
    )
    assert float(table[-1]["held_loss"]) == pytest.approx(
        info.training["validation"]["held_loss"], rel=1e-8
    )
    # Every figure a run starts from is that of a classical injection: near its rivals.
    assert 0.3 < float(table[-1]["scenes_ergas_ratio"]) < 3
    assert float(table[-1]["ergas x"]) > 0


def test_the_best_by_the_held_build_is_kept(looked_at):
    table = rows(looked_at[0] / "validation.csv")
    training = load_checkpoint(looked_at[0] / "best.safetensors")[1].training
    best = min(table, key=lambda row: float(row["held_loss"]))

    assert "held_loss" == training["best"]["by"]
    assert int(best["step"]) == training["steps"] == training["best"]["step"]
    assert "averaged" == training["weights"]


def test_pictures_of_one_tile_are_drawn(looked_at):
    """MS, fused, truth and error beside each other; to the tracker too."""
    drawn = sorted((looked_at[0] / "pictures").glob("*.png"))

    assert ["step-00000006.png", "step-00000012.png"] == [path.name for path in drawn]
    with Image.open(drawn[0]) as picture:
        assert (4 * 64, 64) == picture.size
    events = b"".join(p.read_bytes() for p in looked_at[0].rglob("events.out.tfevents.*"))
    assert b"ms, fused, truth, error" in events
    assert b"validation/held_loss" in events


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--validate", "absent"], "no manifest.json in absent"),
        (["--validate", "absent:0.3"], "takes a DIR or a URL without a share; got 'absent:0.3'"),
        (["--scenes", "absent"], "absent does not exist"),
        (["--validate-minutes", "0"], "--validate-minutes must be positive"),
        (["--tracker", "none", "tensorboard"], "--tracker none stands alone"),
        (["--accumulate", "0"], "--accumulate must be at least 1"),
        (["--hang-minutes", "-1"], "--hang-minutes must not"),
    ],
)
def test_what_cannot_be_measured_or_run_is_one_line(small_build, tmp_path, flags, word, capsys):
    command = ["pretrain", "--shards", str(small_build), "--out", str(tmp_path / "o"), *TINY]

    assert 2 == main([*command, *flags])
    assert word in capsys.readouterr().err


def test_a_network_of_other_bands_has_nothing_to_be_measured_on(small_build):
    """small_build has 3 and 4 bands."""
    assert 12 == len(hold(small_build, 4, 99).numbers)
    with pytest.raises(TrainingError, match="no sample has 8 bands"):
        hold(small_build, 8, 99)
    assert MODELS["anyband"].any_band


def test_a_held_build_that_is_also_trained_on_is_said(
    small_build, small_build_of, photos, tmp_path
):
    """By the bytes of its shards, under whatever name; one that shares none is not."""
    from simgen.building.build import run_build

    copy, other = tmp_path / "copy", tmp_path / "other"
    shutil.copytree(small_build, copy)
    run_build(small_build_of("folder", photos, other), workers=1)

    (line,) = also_trained_on([other, copy], [Manifest.load(small_build)])

    assert f"`validate` {copy}: 4 of its 4 shards are also trained on" in line


def test_a_held_build_may_lie_at_a_url(small_build, tmp_path, capsys):
    """As the shards may: fetched and checked, then measured on. Here it is those shards."""
    url, out = small_build.as_uri(), tmp_path / "run"
    command = [
        "pretrain",
        "--shards",
        str(small_build),
        "--out",
        str(out),
        *TINY,
        "--tracker",
        "none",
    ]
    assert 0 == main(
        [*command, "--max-steps", "2", "--validate", url, "--cache", str(tmp_path / "c")]
    )

    assert "also trained on" in capsys.readouterr().err
    (row,) = rows(out / "validation.csv")
    assert float(row["held_loss"]) > 0

"""The loop and its command, on small shards."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.errors import TrainingError
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import build_model
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.losses import consistent_l1, relative_l1
from fusiontrain.training.schedule import learning_rate
from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
K = range(6)  # batches that make one pass
SMALL = ["--crop", "64", "--batch-size", "4", "--max-steps"]


def launch(command, **environment):
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def run(small_build, tmp_path_factory):
    """A short run, started as the README starts it."""
    out = tmp_path_factory.mktemp("runs") / "run"
    accelerate = [BIN / "accelerate", "launch", "--num_processes", "1", "--num_machines", "1"]
    accelerate += ["--mixed_precision", "no", "--dynamo_backend", "no", "fusiontrain/pretrain.py"]
    command = [*accelerate, "--shards", small_build, "--out", out, *SMALL, "60"]
    code, stdout, stderr = launch(command)
    assert 0 == code, stderr
    assert "60 steps" in stdout
    return out, command


def test_training_learns(run, small_build):
    """On batches of its own shards the trained network errs less than the untrained one."""
    trained = load_checkpoint(run[0] / "model.safetensors")[0]
    torch.manual_seed(0)
    untrained = build_model("anyband").eval()
    data = IndexedShards([ShardSet(folder=small_build)], batch=4, crop=64, seed=1)

    with torch.no_grad():
        errors = [
            sum(
                float(relative_l1(net(b.inputs), b.truth, b.inputs.ms))
                for b in map(data.__getitem__, K)
            )
            for net in (trained, untrained)
        ]

    assert errors[0] < errors[1]


def test_a_run_logs_its_steps(run):
    """From the CSV that every run leaves."""
    with (run[0] / "log.csv").open() as file:
        rows = list(csv.DictReader(file))

    assert [1, 20, 40, 60] == [int(row["step"]) for row in rows]
    assert all(0 < float(row["loss"]) < 10 for row in rows)
    assert 0 <= float(rows[-1]["data_wait"]) < 0.9


def test_a_run_leaves_weights_facts_and_a_tensorboard_log(run):
    """All that later steps need."""
    net, info = load_checkpoint(run[0] / "model.safetensors")
    facts = json.loads((run[0] / "run.json").read_text())

    assert "anyband" == info.model
    assert info.training == facts
    assert 60 == facts["steps"]
    assert 1 == len(facts["manifests"])
    assert float(net.head.weight.detach().abs().sum()) > 0
    assert list(run[0].rglob("events.out.tfevents.*"))


def test_a_finished_run_is_reused(run):
    """Same configuration and shards: nothing is trained again."""
    before = (run[0] / "model.safetensors").read_bytes()

    code, stdout, _ = launch(run[1])

    assert 0 == code
    assert "already trained" in stdout
    assert before == (run[0] / "model.safetensors").read_bytes()


def test_another_runs_folder_is_left_alone(run):
    """Other options, same folder: refused, nothing lost."""
    before = (run[0] / "model.safetensors").read_bytes()

    code, _, stderr = launch([*run[1], "--seed", "3"])

    assert 0 != code
    assert "holds the weights of another run: --seed 0 there, 3 here" in stderr
    assert before == (run[0] / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_two_runs_are_equal(run, small_build, tmp_path):
    """Bit for bit, on the CPU; also as `python -m`."""
    command = [sys.executable, "-m", "fusiontrain", "pretrain", "--shards", small_build]

    code, _, stderr = launch([*command, "--out", tmp_path / "again", *SMALL, "60"])

    assert 0 == code, stderr
    for name, tensor in load_checkpoint(run[0] / "model.safetensors")[0].state_dict().items():
        other = load_checkpoint(tmp_path / "again" / "model.safetensors")[0].state_dict()[name]
        assert torch.equal(tensor, other), name


@pytest.mark.slow
def test_two_processes_train_one_network(small_build, tmp_path):
    """torchrun with accelerate's hint for the CPU: gloo, one set of weights."""
    command = [BIN / "torchrun", "--nproc-per-node", "2", "fusiontrain/pretrain.py"]
    command += ["--shards", small_build, "--out", tmp_path / "run", *SMALL, "8"]

    code, _, stderr = launch(command, ACCELERATE_USE_CPU="true", OMP_NUM_THREADS="1")

    assert 0 == code, stderr
    assert 2 == json.loads((tmp_path / "run" / "run.json").read_text())["processes"]
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU the launch is a good one")
def test_two_unrelated_processes_are_refused(small_build, tmp_path):
    """torchrun without the hint would train the same network twice and say nothing."""
    command = [sys.executable, "fusiontrain/pretrain.py", "--shards", small_build]
    one_of_two = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    one_of_two |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29577"}

    code, _, stderr = launch([*command, "--out", tmp_path / "run", *SMALL, "8"], **one_of_two)

    assert 2 == code, stderr
    assert "launched as 2 processes" in stderr
    assert "ACCELERATE_USE_CPU=true" in stderr


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--shards", "absent"], "no manifest.json in absent"),
        (["--crop", "30"], "--crop must be"),
        (["--crop", "4"], "--crop must be"),
        (["--max-steps", "0"], "--max-steps must be"),
        (["--seed", "-1"], "seed must lie"),
        (["--workers", "-1"], "--workers must not"),
        (["--out", "/proc/panprior"], "cannot write to"),
        (["--out", "file"], "cannot write into file: it is no folder; give a folder, or a new"),
    ],
)
def test_bad_runs_are_one_line_and_code_2(small_build, tmp_path, flags, word, capsys, monkeypatch):
    """Before anything is trained."""
    from fusiontrain.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    given = ["--shards", str(small_build), "--out", str(tmp_path / "run"), *flags]

    assert 2 == main(["pretrain", *given])
    assert word in capsys.readouterr().err


def test_the_rate_warms_up_and_cools_down():
    """Linear from almost nothing, then half a cosine to its last share."""
    config = TrainConfig(learning_rate=1.0, warmup_steps=10, final_rate=0.1)

    assert pytest.approx(0.1) == learning_rate(config, 0, 0.0)
    assert pytest.approx(1.0) == learning_rate(config, 9, 0.0)
    assert pytest.approx(0.55) == learning_rate(config, 500, 0.5)
    assert pytest.approx(0.1) == learning_rate(config, 1000, 1.0)


def test_the_loss_is_blind_to_bit_depth():
    """The same picture at 8 and at 11 bits costs the same."""
    gt, fused, ms = (torch.rand(2, 3, 16, 16) * 200 for _ in range(3))

    eight, eleven = relative_l1(fused, gt, ms), relative_l1(8 * fused, 8 * gt, 8 * ms)

    assert float(eight) == pytest.approx(float(eleven), rel=1e-5)


@pytest.mark.parametrize("changes", [{"batch_size": 0}, {"max_minutes": 0.0}, {"crop": 0}])
def test_impossible_configurations_are_refused(changes):
    """Early."""
    with pytest.raises(TrainingError):
        TrainConfig(**changes)


def test_consistency_asks_the_ms_back():
    """Nothing for a truth whose MS it is; a constant error counts once, and .3 times as MS."""
    dice = torch.Generator().manual_seed(2)
    gt = torch.rand(2, 3, 64, 64, generator=dice, dtype=torch.float64) * 900 + 50
    gains = torch.full((2, 3), 0.3, dtype=torch.float64)
    batch = PanBatch(
        ms=degrade(gt, gains, 4),
        pan=gt.mean(1, keepdim=True),
        ratio=4,
        mtf=gains,
        softness=gains,
    )
    spread = float((1 / batch.ms.std((-2, -1))).mean())

    assert 0 == pytest.approx(float(consistent_l1(gt, gt, batch)), abs=1e-12)
    assert 1.3 * 7 * spread == pytest.approx(float(consistent_l1(gt + 7, gt, batch)), rel=1e-9)
    # What averages out in a blurred pixel is no matter of the MS: only the truth's part is left.
    stripes = 7.0 * (-1.0) ** torch.arange(64, dtype=torch.float64)
    loss = float(consistent_l1(gt + stripes, gt, batch))
    assert float(relative_l1(gt + stripes, gt, batch.ms)) == pytest.approx(loss, rel=0.02)

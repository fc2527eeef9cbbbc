"""Recipes: frozen data, found by name, with flags before them."""

import dataclasses
import importlib.util
import shutil
from functools import partial

import pytest
import torch
from torch._dynamo.utils import counters

from fusiontrain.cli import main
from fusiontrain.commands.training_options import configure, training_parser
from fusiontrain.errors import TrainingError
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.recipes import PRETRAIN, RECIPES, find_recipe
from tests.support.networks import random_network, save_network

TINY = ["--crop", "16", "--batch-size", "4", "--tracker", "none", "--log-steps", "1"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_frozen_data_with_a_hash_of_its_own(name):
    config = find_recipe(name)

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1
    assert len(RECIPES) == len({find_recipe(other).digest for other in RECIPES})
    assert 64 == len(config.digest)


def test_an_unknown_recipe_is_named():
    with pytest.raises(TrainingError, match="no recipe 'nonesuch'; have: pretrain, "):
        find_recipe("nonesuch")


def test_runs_of_before_keep_their_identity():
    """These were recorded by the first runs: their states must still be theirs."""
    recorded = "model max_steps max_minutes batch_size crop learning_rate warmup_steps final_rate"
    recorded += " weight_decay clip_norm seed precision"

    assert set(recorded.split()) == set(TrainConfig().as_data())
    assert "schedule" in TrainConfig(schedule="wsd").as_data()


def test_the_seed_papers_habits():
    """DOMAIN 1.5: L1, Adam 1e-3, StepLR by .8, batches of 16, crops of 128, seed 42."""
    config = find_recipe("pretrain_paper")

    assert ("l1", "adam", 1e-3, "steps") == (
        config.loss,
        config.optimizer,
        config.learning_rate,
        config.schedule,
    )
    assert (16, 128, 42) == (config.batch_size, config.crop, config.seed)
    assert (0, 0, 0) == (config.clip_norm, config.ema_decay, config.warmup_steps)


def test_flags_go_before_the_recipe_and_only_those_given():
    parser = training_parser("pretrain", None, recipes=PRETRAIN, default="pretrain")
    given = ["--shards", "a", "--out", "b", "--recipe", "pretrain_paper", "--ema-decay", "0.99"]

    args = parser.parse_args([*given, "--learning-rate", "0.5"])
    config = configure(args)

    assert (0.99, 0.5, "adam", 42) == (
        config.ema_decay,
        config.learning_rate,
        config.optimizer,
        config.seed,
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ema_decay": 1.0}, "`ema_decay` must be below 1"),
        ({"ema_decay": -0.1}, "`ema_decay` must lie"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive"),
        ({"clip_norm": -1.0}, "`clip_norm` must not"),
        ({"decay_share": 1.5}, "`decay_share` must lie"),
    ],
)
def test_impossible_numbers_are_refused(changes, word):
    with pytest.raises(TrainingError, match=word):
        TrainConfig(**changes)


@pytest.fixture
def three_bands(photos, tmp_path, small_build_of):
    """Shards of one band count."""
    from simgen.building.build import run_build

    run_build(small_build_of("folder", photos, tmp_path / "shards", bands=(3,)), workers=1)
    return tmp_path / "shards"


@pytest.fixture(scope="module")
def pretrained(small_build, tmp_path_factory):
    """Four steps by the paper's recipe."""
    out = tmp_path_factory.mktemp("runs") / "run"
    command = ["pretrain", "--recipe", "pretrain_paper", "--shards", str(small_build), "--out"]
    assert 0 == main([*command, str(out), "--max-steps", "4", *TINY])
    return out / "model.safetensors"


def test_weights_say_their_recipe(pretrained):
    training = load_checkpoint(pretrained)[1].training

    assert "pretrain_paper" == training["recipe"]["name"]
    assert "adam" == training["config"]["optimizer"]
    assert 64 == len(training["recipe"]["sha256"]) == len(training["manifests"][0])


def test_freeze_tuning_on_shards_moves_what_the_entry_names(pretrained, small_build, tmp_path):
    out = tmp_path / "tuned"
    command = ["finetune", "--recipe", "finetune_freeze", "--shards", str(small_build), *TINY]

    assert 0 == main(
        [*command, "--weights", str(pretrained), "--out", str(out), "--max-steps", "3"]
    )

    before = load_checkpoint(pretrained)[0].state_dict()
    net, info = load_checkpoint(out / "model.safetensors")
    moved = {n for n, value in net.named_parameters() if not torch.equal(value, before[n])}
    named = MODELS["anyband"].freeze_tuning_prefixes
    assert {n for n in before if n.startswith(named)} == moved
    assert 64 == len(info.training["config"]["initial"])


@pytest.mark.parametrize(
    ("recipe", "model"), [("finetune_full", "anyband"), ("release_scene", "anyband-scene")]
)
def test_full_tuning_starts_from_the_weights(pretrained, small_build, tmp_path, recipe, model):
    """One step at a rate of nothing leaves them as they were, in a model that continues theirs."""
    out = tmp_path / "tuned"
    command = ["finetune", "--shards", str(small_build), *TINY, "--weights", str(pretrained)]
    command += ["--recipe", recipe, "--weight-decay", "0"]

    assert 0 == main([*command, "--out", str(out), "--max-steps", "1", "--learning-rate", "1e-30"])

    before = load_checkpoint(pretrained)[0].state_dict()
    net, info = load_checkpoint(out / "model.safetensors")
    assert model == info.model
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_target_sensors_network_is_wider(small_build, tmp_path):
    """Weights of the usual size become the wider network's, in its first channels."""
    narrow = save_network(tmp_path / "w.safetensors", random_network(), **MODELS["anyband"].sizes)
    out = tmp_path / "tuned"
    command = ["finetune", "--shards", str(small_build), *TINY, "--weights", str(narrow)]
    command += ["--recipe", "release_sensor", "--max-steps", "1", "--learning-rate", "1e-30"]

    assert 0 == main([*command, "--weight-decay", "0", "--out", str(out)])

    net, info = load_checkpoint(out / "model.safetensors")
    assert info.sizes == MODELS["anyband-sensor"].sizes
    old, new = load_checkpoint(narrow)[0].head.weight, net.head.weight
    assert torch.equal(old, new[:, :32])
    assert new[:, 32:].abs().max() < 1e-20  # the step at a rate of nothing


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--recipe", "one_shot", "--shards", "x"], "takes --learn-from, and no --shards"),
        (
            ["--recipe", "one_shot", "--learn-from", "x", "--ema-decay", "0.9", "--validate", "y"],
            "does not use --ema-decay, --validate",
        ),
        (["--recipe", "finetune_full"], "takes --shards, and no --learn-from"),
        (["--weights", "absent.safetensors", "--shards", "x"], "no weights at absent"),
        (
            ["--recipe", "release_scene", "--weights", "default-sensor", "--shards", "x"],
            "these are of anyband-sensor",
        ),
    ],
)
def test_a_tuning_that_cannot_be_is_one_line(pretrained, tmp_path, flags, word, capsys):
    given = ["--weights", str(pretrained)] if "--weights" not in flags else []

    assert 2 == main(["finetune", *given, "--out", str(tmp_path / "o"), *flags])
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("tracker", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed_is_one_line(small_build, tmp_path, tracker, capsys):
    if importlib.util.find_spec(tracker) is not None:
        pytest.skip(f"{tracker} is installed here")
    command = [
        "pretrain",
        "--shards",
        str(small_build),
        "--out",
        str(tmp_path / "o"),
        "--crop",
        "16",
    ]

    assert 2 == main([*command, "--tracker", tracker])
    assert f"pip install {tracker}" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and fp16 is for it")
def test_fp16_wants_a_gpu(small_build, tmp_path, capsys):
    command = [
        "pretrain",
        "--shards",
        str(small_build),
        "--out",
        str(tmp_path / "o"),
        "--crop",
        "16",
    ]

    assert 2 == main([*command, "--precision", "fp16"])
    assert "fp16 needs a GPU" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_keep_the_names_of_their_weights(three_bands, tmp_path, monkeypatch):
    """Graphs that run as they are: code for them is made in the next test."""
    graphs = counters["stats"]["unique_graphs"]
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    command = ["pretrain", "--shards", str(three_bands), *TINY, "--max-steps", "1", "--compile"]

    assert 0 == main([*command, "--model", "pnn", "--out", str(tmp_path / "run")])

    net = load_checkpoint(tmp_path / "run" / "model.safetensors")[0]
    assert not [name for name in net.state_dict() if "orig_mod" in name]
    assert counters["stats"]["unique_graphs"] > graphs, "nothing was compiled"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_any_band_network_is_the_same_network():
    """Outputs and gradients up to rounding; the physics before the layers is left as it is."""
    torch.manual_seed(0)
    net = build_model("anyband", width=8, blocks=1)
    torch.nn.init.normal_(net.head.weight, std=0.1)
    ms, pan, gains = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 32, 32), torch.full((2, 3), 0.3)
    batch = PanBatch(ms=ms, pan=pan, ratio=4, mtf=gains, softness=gains)
    results, graphs = [], counters["stats"]["unique_graphs"]
    for compiled in (False, True):
        if compiled:
            net.compile()
        net.zero_grad()
        fused = net(batch)
        fused.square().mean().backward()
        results.append([fused.detach(), *(p.grad.clone() for p in net.parameters())])

    for eager, other in zip(*results, strict=True):
        torch.testing.assert_close(other, eager, rtol=1e-3, atol=1e-5 * float(eager.abs().max()))
    assert counters["stats"]["unique_graphs"] > graphs, "nothing was compiled"

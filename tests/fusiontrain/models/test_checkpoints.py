import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fusiontrain.errors import CheckpointError
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import build_model

INFO = CheckpointInfo(model="anyband", sizes={"width": 8, "blocks": 1}, training={"steps": 3})


@pytest.fixture
def weights(tmp_path):
    """A small network, saved."""
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    save_checkpoint(path, build_model(INFO.model, **INFO.sizes), INFO)
    return path


def test_weights_come_back_bit_for_bit(weights):
    """With the model's name and sizes inside."""
    torch.manual_seed(0)
    expected = build_model(INFO.model, **INFO.sizes).state_dict()

    net, info = load_checkpoint(weights)

    assert INFO == info
    assert not net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(expected[name], tensor)


def test_equal_weights_are_equal_bytes(weights, tmp_path):
    """Whatever order safetensors gives the header; other libraries still read it."""
    net, info = load_checkpoint(weights)
    for number in range(5):
        save_checkpoint(tmp_path / f"{number}.safetensors", net, info)
        assert weights.read_bytes() == (tmp_path / f"{number}.safetensors").read_bytes()

    for name, tensor in load_file(weights).items():
        assert torch.equal(tensor, net.state_dict()[name])


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_pickle_is_refused_unread(tmp_path, name):
    """Whatever it is called; nothing in it runs."""
    ran = []

    class Bomb:
        def __reduce__(self):
            return ran.append, (1,)

    for save in (lambda p: p.write_bytes(pickle.dumps(Bomb())), lambda p: torch.save({"a": 1}, p)):
        path = tmp_path / name
        save(path)
        with pytest.raises(CheckpointError, match=r"is a pickle .* refused"):
            load_checkpoint(path)
    assert [] == ran


def test_headers_of_any_length_are_read(tmp_path):
    """A header of length 0x..80 begins like a pickle does."""
    lengths = set()
    for padding in range(0, 260, 4):
        path = tmp_path / "w.safetensors"
        info = CheckpointInfo(model="anyband", sizes=INFO.sizes, training={"x": "y" * padding})
        save_checkpoint(path, build_model(INFO.model, **INFO.sizes), info)
        lengths.add(path.read_bytes()[0])
        assert info == load_checkpoint(path)[1]
    assert 0x80 in lengths


def test_weights_of_another_model_are_refused(weights):
    """Found, expected, and what to do."""
    with pytest.raises(CheckpointError, match=r"'anyband'; expected 'pannet': drop `model`"):
        load_checkpoint(weights, expect="pannet")


def test_a_file_that_lies_about_its_model_is_refused(tmp_path):
    """Metadata of one size, tensors of another."""
    path = tmp_path / "w.safetensors"
    wide = CheckpointInfo(model="anyband", sizes={"width": 16, "blocks": 1}, training={})
    save_checkpoint(path, build_model(INFO.model, **INFO.sizes), wide)

    with pytest.raises(CheckpointError, match=r"of 'anyband'[^\n]*\n  do: if another version"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": "nonesuch"}, "names model 'nonesuch'"),
        ({"version": "9"}, "version 9"),
        ({"format": "pt"}, "another program"),
        ({"sizes": '{"depth": 3}'}, "depth"),
        ({"sizes": "[]"}, "broken metadata"),
        ({"sizes": '{"width": -3}'}, "sizes outside"),
        ({"sizes": '{"width": 100000000}'}, "sizes outside"),
        ({"sizes": '{"width": 4096}'}, "does not hold the tensors"),
        ({"training": "3"}, "broken metadata"),
    ],
)
def test_other_metadata_is_refused(tmp_path, change, word):
    """A checkpoint says what it is, in words we know."""
    metadata = {
        "format": "panprior-checkpoint",
        "version": "1",
        "model": "anyband",
        "sizes": "{}",
        "training": "{}",
    }
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata | change)

    with pytest.raises(CheckpointError, match=word):
        load_checkpoint(path)


def test_damage_is_found(weights, tmp_path):
    """Absent, empty, cut, and no safetensors at all."""
    whole = weights.read_bytes()
    for data in (b"", whole[:200], whole[:-40], b"GIF89a" * 20):
        weights.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"damaged|no safetensors"):
            load_checkpoint(weights)
    with pytest.raises(CheckpointError, match="no weights at"):
        load_checkpoint(tmp_path / "absent.safetensors")


def changed(path, change):
    """The file at `path` with its first tensor changed."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    name = sorted(state)[0]
    state[name] = change(state[name])
    save_file(state, path, metadata)


def with_one(value):
    def change(tensor):
        tensor = tensor.clone().double()
        tensor.view(-1)[0] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (with_one(float("nan")), "not finite"),
        (with_one(float("inf")), "not finite"),
        (with_one(float("-inf")), "not finite"),
        (with_one(1e30), r"value of 1e\+30"),
        (with_one(-1e30), r"value of 1e\+30"),
        (with_one(1e300), r"value of 1e\+300"),
        (lambda t: t.to(torch.int8), "is int8; expected float64 or float32"),
        (lambda t: t.to(torch.bool), "is bool; expected"),
        (lambda t: t.to(torch.float8_e4m3fn), "is float8_e4m3fn; expected"),
        (lambda t: t[None], "does not hold the tensors"),
    ],
)
def test_weights_that_no_training_makes_are_refused(weights, change, word):
    """Values, dtypes and shapes, before anything is fused."""
    changed(weights, change)

    with pytest.raises(CheckpointError, match=word):
        load_checkpoint(weights)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floats_are_read(weights, dtype):
    """In the network's own precision."""
    changed(weights, lambda t: t.to(dtype))

    assert {t.dtype for t in load_checkpoint(weights)[0].parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("sizes", "word"),
    [
        ('{"blocks": 4096}', "more than the .* tensors that its file explains"),
        ('{"width": 1e999}', "broken metadata"),
        ('{"width": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper"),
        ('{"width": ' + "9" * 5000 + "}", "broken metadata"),
    ],
)
def test_sizes_that_cost_time_are_refused_at_once(tmp_path, sizes, word):
    """What a network of that size would take is never spent."""
    path = tmp_path / "w.safetensors"
    metadata = {"format": "panprior-checkpoint", "version": "1", "model": "anyband"}
    save_file({"a": torch.zeros(1)}, path, metadata | {"sizes": sizes, "training": "{}"})

    with pytest.raises(CheckpointError, match=word):
        load_checkpoint(path)


def test_a_large_header_is_refused_unread(tmp_path):
    """Its length stands before it."""
    path = tmp_path / "w.safetensors"
    with path.open("wb") as file:
        file.write((90 << 20).to_bytes(8, "little") + b"{")
        file.truncate(100 << 20)

    with pytest.raises(CheckpointError, match="header claims 94371840 bytes"):
        load_checkpoint(path)

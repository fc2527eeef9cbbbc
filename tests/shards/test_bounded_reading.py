import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.bounded_reading import MAX_DEPTH, parse_json, read_bounded, read_json, read_toml
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import Facts
from shards.sensors import load_sensor
from simgen.building.shard_writing import Sidecar

DEEP = "[" * 100_000 + "]" * 100_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_json_reads_as_pythons_own_does(value):
    """Within the limits nothing changes."""
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_nesting_has_a_limit(pair):
    """One level more is refused, and so are a hundred thousand."""
    opening, closing = pair
    middle = "1"
    assert parse_json(opening * MAX_DEPTH + middle + closing * MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 500, 100_000):
        with pytest.raises(ValueError, match="nested deeper"):
            parse_json(opening * depth + middle + closing * depth)


def test_nested_toml(tmp_path):
    """Dotted keys nest too."""
    path = tmp_path / "a.toml"
    for text in (f"a = {DEEP}", ".".join("a" * 900) + " = 1"):
        path.write_text(text)
        with pytest.raises(ValueError, match="nested deeper"):
            read_toml(path)


def test_only_regular_files_of_a_size(tmp_path):
    """A device without end and a FIFO without writer are refused, not waited for."""
    (tmp_path / "a.json").write_text("[1]")
    os.mkfifo(tmp_path / "fifo")
    assert read_json(tmp_path / "a.json") == [1]
    with pytest.raises(ValueError, match="at most 2 bytes"):
        read_bounded(tmp_path / "a.json", 2)
    for path in (Path("/dev/zero"), Path("/dev/null"), tmp_path / "fifo", tmp_path):
        with pytest.raises((ValueError, OSError), match=r"regular file|directory"):
            read_bounded(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match=r"."):
            read_bounded(tmp_path / "socket")


@pytest.mark.parametrize(
    "read",
    [
        lambda path: Manifest.load(path.parent),
        lambda path: load_sensor(path.with_suffix(".toml")),
        lambda path: Facts.from_json(path.read_bytes()),
    ],
)
def test_every_reader_answers_nesting_with_its_error(tmp_path, read):
    """Not with a RecursionError."""
    (tmp_path / "manifest.json").write_text('{"contract_version": ' + DEEP + "}")
    (tmp_path / "manifest.toml").write_text(f"name = {DEEP}")

    with pytest.raises(ContractError, match="nested deeper"):
        read(tmp_path / "manifest.json")


def test_a_nested_sidecar_is_a_damaged_one(tmp_path):
    """Its shard is built again."""
    (tmp_path / "a.json").write_text(DEEP)
    assert Sidecar.load(tmp_path / "a.json") is None


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_device_is_no_sensor(tmp_path, device):
    """Whatever it is called."""
    path = tmp_path / "mine.toml"
    path.symlink_to(device)

    with pytest.raises(ContractError, match="regular file"):
        load_sensor(path)

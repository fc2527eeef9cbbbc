"""File names that are not UTF-8."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.manifest import Manifest
from simgen.cli import main
from simgen.sources.source import name_key

BYTES = st.binary(min_size=1, max_size=20).map(os.fsdecode)


@given(st.lists(BYTES, unique=True, max_size=20))
def test_unequal_names_have_unequal_printable_keys(names):
    """Also one that looks like another's escapes."""
    shown = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in names]
    names = [name for name in [*names, *shown] if "//" not in name]
    keys = {name: name_key(name) for name in names}

    assert len(set(keys.values())) == len({*names})
    for key in keys.values():
        key.encode()


@given(st.text(st.characters(codec="utf-8")))
def test_names_in_utf8_are_their_keys(name):
    """So that shards of before stay what they are."""
    assert name_key(name) == name


@pytest.mark.parametrize("name", [b"\xff.jpg", b"caf\xe9.jpg", "é.jpg".encode(), b"a\nb.jpg"])
def test_a_folder_build_takes_any_name(tmp_path, make_jpeg, name):
    """Its samples say where they are from."""
    root = tmp_path / "images"
    root.mkdir()
    (root / os.fsdecode(name)).write_bytes(make_jpeg(seed=1))
    out = tmp_path / "out"

    code = main(
        ["build", "--dataset", "folder", "--source", str(root), "--out", str(out), "--tile", "64"]
    )

    assert code == 0
    assert Manifest.load(out).samples > 0

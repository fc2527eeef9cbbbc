"""Arrays that are compressed within a shard."""

import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from fusiontrain.data.shard_file import ShardRef, read_sample
from fusiontrain.data.shard_stream import read_shard
from shards.compression import pack, unpack
from shards.errors import ContractError
from shards.manifest import NAME, Manifest
from shards.schema import MEMBER_NAMES, PACKED_NAMES, decode_sample, packed_members
from shards.tar import read_samples, write_samples
from simgen.building.build import run_build
from simgen.building.verify import verify
from simgen.cli import main

blosc2 = pytest.importorskip("blosc2", reason="compressed shards need blosc2 (extra compress)")


@pytest.fixture(scope="module")
def both_forms(photos, tmp_path_factory, small_build_of):
    """The same build plain and packed."""
    root = tmp_path_factory.mktemp("both_forms")
    build = small_build_of("folder", photos, root / "plain")
    run_build(build, workers=1)
    run_build(replace(build, out=root / "packed", compression="blosc2"), workers=1)
    return root / "plain", root / "packed"


def samples(folder):
    for row in Manifest.load(folder).shards:
        yield from read_samples(folder / row.name)


def test_what_is_packed_is_what_blosc2_reads():
    """LZ4 after bitshuffle, as its own header and library say; smaller; and back."""
    data = (np.arange(90_000) % 701).astype("<u2").tobytes()

    packed = pack(data)

    assert len(packed) < len(data) / 2
    assert (len(data), len(packed)) == blosc2.get_cbuffer_sizes(packed)[:2]
    assert data == blosc2.decompress2(packed) == unpack(packed, "x", largest=len(data))


def test_both_builds_hold_the_same_samples(both_forms):
    """Arrays, facts and keys; names say which is packed."""
    plain, packed = both_forms

    for (key, members), (other, smaller) in zip(samples(plain), samples(packed), strict=True):
        assert key == other
        assert set(MEMBER_NAMES) == set(members)
        assert set(PACKED_NAMES) == set(smaller)
        *arrays, facts = decode_sample(members)
        *unpacked, same = decode_sample(smaller)
        assert facts == same
        for array, again in zip(arrays, unpacked, strict=True):
            np.testing.assert_array_equal(array, again)


def test_the_manifest_says_so_and_old_readers_are_refused(both_forms):
    """Version 2 and the word; a plain build's manifest is as version 1 always was."""
    plain, packed = (json.loads((folder / NAME).read_text()) for folder in both_forms)

    assert 1 == plain["contract_version"]
    assert "compression" not in plain
    assert (2, "blosc2") == (packed["contract_version"], packed["compression"])
    assert blosc2.__version__ == packed["libraries"]["blosc2"]


@pytest.mark.parametrize("change", [{"contract_version": 1}, {"compression": "zip"},
                                    {"compression": ""}, {"contract_version": 3}])  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_refused(both_forms, change):
    """Version and compression go together."""
    raw = json.loads((both_forms[1] / NAME).read_text()) | change

    with pytest.raises(ContractError, match="version"):
        Manifest.parse(json.dumps(raw).encode(), "there")


def test_training_reads_both_alike(both_forms):
    """By index and through webdataset."""
    read = []
    for folder in both_forms:
        manifest = Manifest.load(folder)
        shard = ShardRef(folder=folder, manifest=manifest, row=manifest.shards[1])
        read.append([read_sample(shard, 3), list(read_shard(shard))[3]])

    for sample in (*read[0][1:], *read[1]):
        for name in ("truth", "ms", "pan"):
            np.testing.assert_array_equal(getattr(read[0][0], name), getattr(sample, name))
        assert read[0][0].facts == sample.facts


def test_verify_and_look_understand_it(both_forms, tmp_path, capsys):
    """And verify holds the manifest to its word."""
    plain, packed = both_forms
    assert 0 == main(["verify", str(packed)])
    assert 0 == main(["look", str(packed), "--out", str(tmp_path / "x.png"), "--samples", "2"])

    raw = json.loads((plain / NAME).read_text()) | {"contract_version": 2, "compression": "blosc2"}
    for path in plain.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / NAME).write_text(json.dumps(raw))
    with pytest.raises(ContractError, match="compression is blosc2"):
        verify(tmp_path)


def test_workers_do_not_change_packed_bytes(both_forms, photos, tmp_path, small_build_of):
    """Nor does the number of cores that blosc2 sees."""
    build = small_build_of("folder", photos, tmp_path / "s", compression="blosc2")

    run_build(build, workers=2)

    assert (both_forms[1] / NAME).read_bytes() == (tmp_path / "s" / NAME).read_bytes()


def test_sizes_are_judged_before_memory_is_taken():
    """A chunk of 32 bytes that claims two gigabytes; one that is cut; one that is none."""
    bomb = blosc2.compress2(bytes(2**28), typesize=2, nthreads=1)
    assert len(bomb) < 2**16
    with pytest.raises(ContractError, match="at most 4096"):
        unpack(bomb, "gt.npy", largest=4096)
    honest = pack(bytes(range(256)) * 40)
    for broken in (honest[:-1], honest + b"x", honest[:20], b"", b"\x80\x04" + honest[2:20]):
        with pytest.raises(ContractError, match=r"gt\.npy"):
            unpack(broken, "gt.npy", largest=20_000)
    claims = bytearray(honest)
    claims[4:8] = struct.pack("<i", -5)
    with pytest.raises(ContractError, match="at most"):
        unpack(bytes(claims), "gt.npy", largest=20_000)


def test_damage_is_an_error_or_other_bytes_never_a_crash():
    """Each byte of a chunk flipped in turn; the shard's sha256 tells the rest."""
    data = np.random.default_rng(0).integers(0, 700, 3000).astype("<u2").tobytes()
    packed = pack(data)

    for i in range(0, len(packed), 7):
        broken = bytearray(packed)
        broken[i] ^= 0x55
        try:
            assert len(unpack(bytes(broken), "gt.npy", largest=len(data))) <= len(data)
        except ContractError:
            continue


def test_packed_and_plain_do_not_mix(both_forms, tmp_path):
    """One array of each kind is no sample."""
    key, members = next(samples(both_forms[0]))
    mixed = members | {"ms.npy.b2": packed_members(members)["ms.npy.b2"]}

    with pytest.raises(ContractError, match="refused"):
        decode_sample(mixed)
    buffer = io.BytesIO()
    write_samples(buffer, [(key, members)])
    packed = io.BytesIO()
    write_samples(packed, [(key, packed_members(members))])
    one, two = buffer.getvalue()[:-10240], packed.getvalue()
    (tmp_path / "x.tar").write_bytes(one[: one.rindex(b"ustar") - 257] + two)
    with pytest.raises(ContractError):
        list(read_samples(tmp_path / "x.tar"))


def test_without_blosc2_the_message_says_what_to_install(photos, tmp_path, capsys, monkeypatch):
    """To who builds, and to who reads."""
    from shards import compression

    monkeypatch.setattr(compression, "find_spec", lambda name: None)
    options = ["--dataset", "folder", "--source", str(photos), "--out", str(tmp_path / "s")]

    assert 2 == main(["build", *options, "--compress", "blosc2"])
    assert "pip install 'panprior[compress]'" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()
    with pytest.raises(ContractError, match="need blosc2"):
        unpack(b"", "gt.npy", largest=1)

import io
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import ContractError
from shards.schema import (
    Facts,
    check_key,
    check_sample,
    decode_array,
    decode_sample,
    encode_array,
)


def facts(bands: int = 2, **changes) -> Facts:
    given_ = {
        "sensor": "draw",
        "bits": 11,
        "ratio": 4,
        "mtf_ms": (0.3,) * bands,
        "mtf_pan": 0.5,
        "softness": (0.4,) * bands,
        "source": "a.jpg#0",
        "recipe": "sensor",
        "seed": 1,
    }
    return Facts(**(given_ | changes))


def sample(bands: int = 2) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    shapes = {"gt.npy": (bands, 16, 16), "ms.npy": (bands, 4, 4), "pan.npy": (1, 16, 16)}
    members = {
        name: encode_array(rng.integers(0, 2048, shape, dtype=np.uint16))
        for name, shape in shapes.items()
    }
    return members | {"json": facts(bands).to_json()}


@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 2**32 - 1))
def test_arrays_come_back(shape, seed):
    """Every pixel survives the round trip."""
    array = np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)

    np.testing.assert_array_equal(array, decode_array(encode_array(array), "gt.npy"))


def test_numpy_itself_reads_and_writes_the_same_bytes():
    """The member is a plain .npy, not a dialect."""
    array = np.arange(24, dtype="<u2").reshape(2, 3, 4)
    plain = io.BytesIO()
    np.save(plain, array, allow_pickle=False)

    assert plain.getvalue() == encode_array(array)
    np.testing.assert_array_equal(array, np.load(io.BytesIO(encode_array(array))))


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((2, 3, 4), "<f4"), "<u2"),
        (np.zeros((2, 3, 4), ">u2"), "<u2"),
        (np.zeros((3, 4), "<u2"), "3-D"),
        (np.asfortranarray(np.zeros((2, 3, 4), "<u2")), "Fortran"),
        (np.zeros((1, 300, 2, 2), "<u2"), "3-D"),
        (np.zeros((300, 2, 2), "<u2"), "bands"),
    ],
)
def test_other_arrays_are_refused(array, word):
    """dtype, byte order, axes and sizes are the contract's."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)

    with pytest.raises(ContractError, match=word):
        decode_array(buffer.getvalue(), "gt.npy")


def test_an_object_array_is_never_unpickled():
    """A pickle inside a .npy is refused before it runs."""
    ran = []

    class Bomb:
        def __reduce__(self):
            return ran.append, (1,)

    buffer = io.BytesIO()
    np.save(buffer, np.array([[[Bomb()]]], dtype=object), allow_pickle=True)

    with pytest.raises(ContractError):
        decode_array(buffer.getvalue(), "gt.npy")
    with pytest.raises(ContractError):
        decode_array(pickle.dumps([1]), "gt.npy")
    assert ran == []


@pytest.mark.parametrize("header", [b"{'descr': (", b"  x\n y", b"\xff\xfe", b"1+1"])
def test_a_broken_header_is_our_error(header):
    """numpy parses headers as Python; whatever that raises, the error is ours."""
    whole = encode_array(np.zeros((1, 2, 2), np.uint16))
    broken = whole[:10] + header.ljust(118) + whole[128:]

    with pytest.raises(ContractError, match=r"gt.npy"):
        decode_array(broken, "gt.npy")


def test_a_header_that_claims_a_huge_array_allocates_nothing():
    """The length is compared before anything is made of it."""
    data = encode_array(np.zeros((1, 2, 2), np.uint16)).replace(b"(1, 2, 2)", b"(9, 9, 9)")

    with pytest.raises(ContractError, match="1458 bytes"):
        decode_array(data, "gt.npy")


@pytest.mark.parametrize("key", ["", "a.b", "a/b", "../a", "A", "é", "a" * 81, "a b"])
def test_keys_that_tar_readers_misread_are_refused(key):
    """webdataset splits at the first dot; long or foreign names become PAX headers."""
    with pytest.raises(ContractError, match="key"):
        check_key(key)


def test_facts_come_back():
    """JSON in, the same facts out."""
    assert facts() == Facts.from_json(facts().to_json())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bits": 17}, "bits"),
        ({"ratio": 0}, "ratio"),
        ({"mtf_ms": (0.3,)}, "one gain a band"),
        ({"mtf_pan": 0.0}, "gains"),
        ({"softness": (0.4, 1.5)}, "gains"),
    ],
)
def test_impossible_facts_are_refused(changes, word):
    """Ranges are checked where the facts are made."""
    with pytest.raises(ContractError, match=word):
        facts(**changes)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps({"bits": "x"}).encode(),
        facts().to_json().replace(b"11", b"Infinity"),
    ],
)
def test_broken_facts_are_refused(data):
    """Whatever the bytes, the error is ours."""
    with pytest.raises(ContractError, match="facts"):
        Facts.from_json(data)


def test_a_sample_must_have_all_members_and_no_other():
    """A partial or enriched sample is named as such."""
    whole = sample()
    partial = {k: v for k, v in whole.items() if k != "ms.npy"}

    assert decode_sample(whole)[0].shape == (2, 16, 16)
    with pytest.raises(ContractError, match=r"missing \['ms.npy'\]"):
        decode_sample(partial)
    with pytest.raises(ContractError, match=r"refused \['x.pkl'\]"):
        decode_sample(whole | {"x.pkl": b""})


def test_shapes_and_depth_must_agree():
    """gt, ms, pan, ratio, bands and bits fit each other."""
    gt, ms, pan = (np.zeros(s, "<u2") for s in ((2, 16, 16), (2, 4, 4), (1, 16, 16)))

    check_sample(gt, ms, pan, facts())
    with pytest.raises(ContractError, match="ms must be"):
        check_sample(gt, ms[:, :3], pan, facts())
    with pytest.raises(ContractError, match="pan must be"):
        check_sample(gt, ms, gt, facts())
    with pytest.raises(ContractError, match="bands"):
        check_sample(gt, ms, pan, facts(3))
    with pytest.raises(ContractError, match="exceed 2047"):
        check_sample(gt + 2048, ms, pan, facts())

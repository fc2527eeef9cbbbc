"""Arguments of pansharpen() of a wrong kind are one line each; what means the same is the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fusiontrain import pansharpen
from fusiontrain.cli import main
from shards.errors import PanpriorError
from tests.support.geotiffs import write_pair

HOW = {"method": "gsa", "sensor": "none", "softness": 0.3, "register": False}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(6)
    fine = 100 + np.kron(rng.uniform(0, 900, (3, 16, 16)), np.ones((4, 4)))
    ms = fine.reshape(3, 16, 4, 16, 4).mean((2, 4)).round()
    return fine.mean(0, keepdims=True).round().astype("uint16"), ms.astype("uint16")


@pytest.fixture(scope="module")
def files(arrays, tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("pair"), *arrays, dtype="uint16")


WRONG = {
    "method": [None, 3, "gs b", ["gsa"]],
    "weights": [3, True, ["small"]],
    "target": ["both", 1, True],
    "sensor": [None, 3, "nowhere", b"none"],
    "softness": ["soft", 2, [0.3], True, np.nan, 0.3j, ()],
    "bands": [
        np.ones((90, 90)),
        3,
        "321",
        "3,2,1",
        (1.5,),
        [True],
        [4],
        [0],
        2.0,
        {1: 2},
        [[1], [2]],
        b"12",
    ],
    "keep_guides": ["off", None, 2, [1], np.ones(2)],
    "dtype": ["foo", bool, object, "complex64", "U4", 3, [1], (), torch.float32, "f4,i4"],
    "scale": [5, np.ones((9, 9)), "wide", (1,), (3, 1), [None, None]],
    "nodata": ["x", "0", (1, 2), [0], True, 1j, b"0"],
    "register": ["off", "on", "auto", None, 2, [True], np.array([1, 0])],
    "local_shift": ["off", None],
    "frame": ["map", None, 1],
    "adapt": ["soon", [], True, -1],
    "quality": ["high", None, 1, np.ones(2)],
    "precision": ["fp16", None, 16],
    "device": ["nowhere", None, 1.5, ["cpu"]],
    "threads": [-1, 0, "2", 1.5, True, 10**9, [1]],
    "memory": ["2", 0, -1, None, np.inf, np.nan, True],
    "window": ["64", 63, 100.5, True, np.nan, [128]],
}
OF_FILES = {
    "out": [3, ["a.tif"], True],
    "bbox": [
        (1, 2),
        "1 2 3 4",
        5,
        (1, 2, 3, "4"),
        (0, 0, np.inf, np.inf),
        (4, 3, 2, 1),
        [None] * 4,
    ],
    "assume_aligned": ["yes", None],
    "match": ["off", None],
    "format": ["JP2", 3, b"COG", np.ones(2)],
    "creation_options": ["COMPRESS=LZW", [("COMPRESS", "LZW")], {"COMPRESS": None}, {1: "LZW"}, 3],
}


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_a_wrong_argument_is_one_line_that_names_it(arrays, name, value):
    with pytest.raises(PanpriorError) as caught:
        pansharpen(*arrays, **HOW | {name: value})

    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    assert name in line


@pytest.mark.parametrize(("name", "value"), cases(WRONG | OF_FILES))
def test_of_files_too_and_nothing_is_written(files, tmp_path, name, value):
    call = HOW | {"out": tmp_path / "o.tif"} | {name: value}

    with pytest.raises(PanpriorError) as caught:
        pansharpen(*files, **call)

    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"softness": "auto"}, {"softness": None}),
        ({"register": np.False_}, {"register": False}),
        ({"register": 1}, {"register": True}),
        ({"bands": np.array([3, 1])}, {"bands": (3, 1)}),
        ({"bands": None}, {"bands": ()}),
        ({"bands": range(1, 3)}, {"bands": (1, 2)}),
        ({"dtype": "Float32"}, {"dtype": np.float32}),
        ({"dtype": "Byte", "scale": (0, 900)}, {"dtype": np.uint8, "scale": (0, 900)}),
        ({"nodata": np.uint16(0)}, {"nodata": 0}),
        ({"threads": np.int64(1)}, {"threads": 1}),
        ({"softness": np.float32(0.25)}, {"softness": 0.25}),
        ({"memory": 3}, {"memory": 3.0}),
        ({"device": torch.device("cpu")}, {"device": "cpu"}),
    ],
)
def test_what_means_the_same(arrays, given, same):
    fused, expected = (pansharpen(*arrays, **HOW | how) for how in (given, same))

    assert expected.dtype == fused.dtype
    np.testing.assert_array_equal(expected, fused)


def test_paths_in_place_of_text(files, tmp_path):
    """A sensor's file, the output; numbers among the creation options."""
    row = {"name": "mine", "bands": ["R", "G", "B"], "ratio": 4, "bits": 11, "source": "-"}
    row |= {"mtf_ms": 0.3, "mtf_pan": 0.15}
    (tmp_path / "mine.toml").write_text(
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in row.items())
    )

    out = pansharpen(
        *map(Path, files),
        tmp_path / "o.tif",
        **HOW | {"sensor": tmp_path / "mine.toml", "creation_options": {"LEVEL": 9}},
    )

    assert tmp_path / "o.tif" == out
    assert out.exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--softness", "soft"),
        ("--memory", "inf"),
        ("--memory", "nan"),
        ("--memory", "0"),
        ("--window", "63"),
        ("--threads", "0"),
        ("--threads", "1025"),
        ("--bands", "x"),
    ],
)
def test_the_same_limits_hold_for_the_command(files, tmp_path, capsys, flag, value):
    assert 2 == main(["fuse", *files, str(tmp_path / "o.tif"), "--method", "gsa", flag, value])

    (line,) = capsys.readouterr().err.splitlines()
    assert flag.removeprefix("--") in line
    assert [] == [*tmp_path.iterdir()]


def test_a_box_without_end_is_refused_by_the_command(files, tmp_path, capsys):
    box = ["--bbox", "0", "0", "inf", "inf"]

    assert 2 == main(["fuse", *files, str(tmp_path / "o.tif"), "--method", "gsa", *box])

    (line,) = capsys.readouterr().err.splitlines()
    assert "--bbox is LEFT BOTTOM RIGHT TOP" in line

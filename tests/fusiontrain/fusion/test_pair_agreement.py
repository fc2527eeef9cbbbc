"""A pair that lies apart is told from one that fits and from one without texture."""

import json
import re

import numpy as np
import pytest
import rasterio
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from fusiontrain.cli import main
from fusiontrain.fusion.pair_agreement import check_agreement
from fusiontrain.scenes.scene import Scene
from tests.support.geotiffs import write_pair

SIDE, RATIO = 384, 4


def ground(seed=0):
    """Blocks of random size and brightness, larger than what is fused."""
    rng = np.random.default_rng(seed)
    image = np.zeros((SIDE + 64, SIDE + 64)) + 300
    for _ in range(400):
        y, x = rng.integers(0, SIDE + 64, 2)
        h, w = rng.integers(6, 40, 2)
        image[y : y + h, x : x + w] = rng.uniform(100, 1500)
    return gaussian_filter(image, 0.8)


def bands_of(image):
    """MS of three bands that share the ground and differ in gain and noise."""
    low = gaussian_filter(image, 1.7).reshape(SIDE // RATIO, RATIO, SIDE // RATIO, RATIO)
    low = low.mean((1, 3))
    rng = np.random.default_rng(1)
    return np.stack([gain * low + 3 * rng.normal(size=low.shape) for gain in (0.6, 1, 1.3)])


def pair(rows=0.0, columns=0.0, stretch=0.0, other=False, flat=False):
    """MS in place; PAN of ground that many PAN pixels further, and more to the right by stretch."""
    image = ground()
    ms = bands_of(image[32:-32, 32:-32])
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    there = [y + 32 + rows, x + 32 + columns + stretch * x / SIDE]
    pan = map_coordinates(ground(7) if other else image, there, order=1)
    if flat:
        rng = np.random.default_rng(2)
        pan = 500 + 3 * rng.normal(size=pan.shape)
        ms = 500 + 3 * rng.normal(size=ms.shape)
    return pan[None], ms


CASES = [
    ({}, ""),
    ({"rows": 3}, ""),
    ({"columns": -5}, ""),
    ({"flat": True}, ""),
    ({"rows": 14}, r"MS would have to move by -3\.[45] rows"),
    ({"columns": -10}, r"\+2\.[45] columns"),
    ({"stretch": 14}, "a shift that varies by"),
    ({"other": True}, "do not seem to show the same ground"),
]


@pytest.mark.parametrize(("how", "expected"), CASES)
def test_what_is_said(how, expected):
    pan, ms = (torch.tensor(image, dtype=torch.float32) for image in pair(**how))

    warning = check_agreement(Scene(name="x", pan=pan, ms=ms)).warning

    assert bool(expected) == bool(warning), warning
    assert re.search(expected, warning)


def test_the_real_pairs_agree(shared):
    from fusiontrain.scenes.discovery import find_scenes

    for entry in find_scenes([shared("data/real")])[::4]:
        agreement = check_agreement(entry.load())
        assert "" == agreement.warning, entry.name
        assert agreement.explained is None or agreement.explained > 0.3


def test_command_tag_and_report_say_it(tmp_path, capsys):
    paths = write_pair(tmp_path, *pair(rows=14))
    call = ["fuse", *paths, str(tmp_path / "o.tif"), "--method", "exp", "-q"]

    assert 0 == main([*call, "--json", str(tmp_path / "r.json")])

    assert "give --match" in capsys.readouterr().err
    with rasterio.open(tmp_path / "o.tif") as file:
        assert "seem to lie apart" in file.tags()["PANPRIOR_WARNINGS"]
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["alignment"]["seem_apart"]
    assert "lie apart" in report["warnings"][0]
    assert 0 == main([*call, "--match"])
    assert "apart" not in capsys.readouterr().err

"""Every command and every line of Python in the documentation, tried as it stands.

Commands are parsed here, and run on small made inputs by the slow tests; so is Python.
"""

import contextlib
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.support.geotiffs import GRID, write_geotiff, write_pair
from tests.support.paths import ROOT
from tests.support.snippet_commands import parse, run
from tests.support.snippets import PAGES, blocks, commands

SHELL = ("sh", "bash")
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
MAKING = """
simgen build --dataset folder --source photos --out shards/built/mine --bands 4
fusiontrain pretrain --shards shards/built/mine --out runs/mine
"""
LANDSAT = "LC09_L1TP_193026_20230801_B{}.TIF"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_are_understood(page, monkeypatch, tmp_path):
    """By the parser of each; Python compiles."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.title:
            (tmp_path / block.title).write_text(block.text)
        if block.language in SHELL:
            for command in commands(block.text):
                try:
                    parse(command)
                except SystemExit as end:
                    pytest.fail(f"{' '.join(command)}: exit code {end.code}")
        elif block.language == "python":
            compile(block.text, str(page), "exec")


@pytest.fixture(scope="module")
def small_inputs(tmp_path_factory):
    """The files that the documentation's commands name, small."""
    folder, rng = tmp_path_factory.mktemp("inputs"), np.random.default_rng(7)
    for name in ("scenes", "one-scene", "photos", "landsat", "images"):
        (folder / name).mkdir()
    ms = rng.integers(200, 1800, (4, 64, 64)).astype("uint16")
    pan = ms.mean(0, keepdims=True).repeat(4, 1).repeat(4, 2) + rng.normal(0, 40, (1, 256, 256))
    write_pair(folder, pan, ms)
    for name in ("a", "b"):
        write_pair(folder / "scenes", pan, ms, name=name, facts={"sensor": "IKONOS"})
    write_pair(folder / "one-scene", pan, ms, name="c", facts={"sensor": "IKONOS"})
    for band, name in zip(ms, ("blue", "green", "red", "nir"), strict=True):
        write_geotiff(folder / f"{name}.tif", band[None], GRID @ GRID.scale(4))
    for number in range(1, 9):
        image, pixel = (pan[:, :128, :128], 1) if number == 8 else (ms[:1], 2)
        path = folder / "landsat" / LANDSAT.format(number)
        write_geotiff(path, image, GRID @ GRID.scale(pixel), dtype="uint16")
    for number in range(3):
        photograph = rng.integers(0, 255, (33, 33, 3)).astype("uint8")
        picture = Image.fromarray(photograph).resize((1040, 1040), Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / f"{number}.jpg")
        picture.save(folder / "images" / f"{number}.png")
    with contextlib.chdir(folder):
        for command in commands(MAKING):
            assert run(command) == 0
    return folder


def runs_something(page):
    return any(block.runs and block.language in (*SHELL, "python") for block in blocks(page))


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if runs_something(p)], ids=lambda p: p.name)
def test_snippets_run(page, small_inputs, tmp_path, monkeypatch):
    """In the order of the page, in one folder; Python in one namespace."""
    folder, names = tmp_path / "work", {}
    shutil.copytree(small_inputs, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))  # as for a Python that is started there
    monkeypatch.setenv("PANPRIOR_CACHE", str(tmp_path / "cache"))
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text)
        elif block.runs and block.language in SHELL:
            for command in commands(block.text):
                assert run(command) == 0, " ".join(command)
        elif block.runs and block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)  # the documentation's own code

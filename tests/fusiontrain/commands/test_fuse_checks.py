"""What fuse refuses before torch is imported."""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from rasterio.transform import Affine

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.published_scores import read_published
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.scenes.named_files import check_is_there
from fusiontrain.scenes.open_raster import open_raster
from tests.support.geotiffs import GRID, write_geotiff

PROGRAM = """
import sys
from fusiontrain.cli import main
code = main(sys.argv[1:])
sys.exit(9 if "torch" in sys.modules else code)
"""
write = partial(write_geotiff, dtype="uint16")


@pytest.fixture
def folder(tmp_path):
    """pan.tif of 64 x 64, ms.tif of 4 bands at ratio 4, text.tif that is no image."""
    write(tmp_path / "pan.tif", np.ones((1, 64, 64)))
    write(tmp_path / "ms.tif", np.ones((4, 16, 16)), GRID @ Affine.scale(4))
    (tmp_path / "text.tif").write_text("no image")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.tif", "ms.tif", "out.tif"], "cannot read none.tif: No such file"),
        (["pan.tif", "text.tif", "out.tif"], "cannot read"),
        (["ms.tif", "pan.tif", "out.tif"], "PAN must have one band"),
        (["pan.tif", "pan.tif", "out.tif"], "1.5 to 8 PAN pixels"),
        (["pan.tif", "ms.tif", "none/out.tif"], "there is no folder"),
        (["pan.tif", "ms.tif", "out.tif", "-ot", "text"], "--dtype"),
        (["pan.tif", "ms.tif", "out.tif", "-co", "LEVEL"], "NAME=VALUE"),
        (["pan.tif", "ms.tif", "out.tif", "--method", "gsb"], "no method 'gsb'"),
        (["pan.tif", "ms.tif", "out.tif", "--sensor", "Sputnik"], "no sensor"),
        (["pan.tif", "ms.tif", "out.tif", "--softness", "7"], "--softness"),
        (["pan.tif", "ms.tif", "out.tif", "--weights", "none"], "no weights at none"),
        (["pan.tif", "ms.tif", "out.tif", "--window", "3"], "at least 64"),
        (["pan.tif", "ms.tif", "out.tif", "--memory", "0"], "--memory"),
        (["pan.tif", "ms.tif", "out.tif", "--memory", "inf"], "--memory is GiB, a number"),
        (["pan.tif", "ms.tif", "out.tif", "--match-limit", "nan"], "--match-limit is larger than"),
        (["pan.tif", "ms.tif", "out.tif", "-b", "red"], "--bands"),
    ],
)
def test_a_refused_input_imports_no_torch(folder, words, message):
    """It took two thirds of the time in which a wrong path was refused."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "fuse", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr.count("\n")) == (2, 1), run.stderr
    assert message in run.stderr


@pytest.mark.parametrize("place", ["pan", "ms", "stack", "guide", "link", "weights", "product"])
def test_a_fifo_is_refused_and_not_waited_for(folder, place):
    """In a process of its own, which is ended if it waits."""
    os.mkfifo(folder / "q.tif")
    (folder / "link.tif").symlink_to("q.tif")
    words = {
        "pan": ["q.tif", "ms.tif"],
        "ms": ["pan.tif", "q.tif"],
        "stack": ["pan.tif", "ms.tif", "q.tif"],
        "guide": ["--guide", "pan.tif", "q.tif", "--", "ms.tif"],
        "link": ["pan.tif", "link.tif"],
        "weights": ["pan.tif", "ms.tif"],
        "product": ["q.tif"],
    }[place]
    more = ["--weights", "q.tif"] if place == "weights" else []
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, "fuse", *words, "out.tif", *more],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (run.returncode, run.stderr.count("\n")) == (2, 1), run.stderr
    expected = {
        "weights": "no weights at q.tif; expected a .safetensors file",
        "product": "q.tif is no folder and no file",
    }.get(place, "it is a device, a FIFO or a socket; expected a file")
    assert expected in run.stderr
    assert not (folder / "out.tif").exists()


def test_the_library_waits_for_no_fifo_either(tmp_path):
    for path in (tmp_path / "x.tif", tmp_path / "x.mat"):
        os.mkfifo(path)
    with pytest.raises(SceneError, match="a FIFO"), open_raster(tmp_path / "x.tif"):
        pass
    with pytest.raises(SceneError, match="a FIFO"), open_raster("/dev/null"):
        pass
    with pytest.raises(SceneError, match="a FIFO"):
        find_scenes([tmp_path / "x.mat"])
    with pytest.raises(SceneError, match="expected a regular file"):
        read_published(tmp_path / "x.mat")


@pytest.mark.parametrize("name", ["GSA", "mtf-glp-hpm-r", "MTF-GLP soft", "bt-h-soft", "net"])
def test_spellings_of_a_method_pass(folder, name):
    """What FusionOptions takes passes the early checks: the run gets to the output's folder."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            "fuse",
            "pan.tif",
            "ms.tif",
            "no/out.tif",
            "--method",
            name,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "there is no folder" in run.stderr


@pytest.mark.parametrize("words", [["none.tif", "ms.tif"], ["pan.tif", "ms.tif", "none.tif"]])
def test_a_file_that_is_not_there_imports_no_rasterio(folder, words):
    """Whose import takes longer than all that comes before."""
    program = PROGRAM.replace('"torch"', '"rasterio"')
    run = subprocess.run(
        [sys.executable, "-c", program, "fuse", *words, "out.tif"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 2
    assert "cannot read none.tif: No such file or directory" in run.stderr


@pytest.mark.parametrize("name", ["/vsizip/none.zip/pan.tif", "GTIFF_DIR:1:pan.tif", "zip://a!b"])
def test_names_that_only_gdal_understands_are_left_to_it(name):
    check_is_there(name)


@pytest.mark.parametrize(
    ("name", "why"), [("none.tif", "No such file"), ("a\0.tif", "null"), ("a" * 300, "too long")]
)
def test_other_names_are_files(name, why):
    with pytest.raises(SceneError, match=f"cannot read .*{why}"):
        check_is_there(name)

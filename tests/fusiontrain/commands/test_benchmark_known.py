"""From images to a table of known truth, as a user calls it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fusiontrain.cli import main
from simgen.cli import main as simgen


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two scenes of known truth, made of images of patches."""
    photos, out = (tmp_path_factory.mktemp(name) for name in ("photos", "known"))
    for number in range(2):
        rng = np.random.default_rng(number)
        patches = np.kron(rng.integers(20, 235, (26, 26, 3)), np.ones((10, 10, 1)))
        noisy = np.clip(patches + rng.normal(0, 6, patches.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(photos / f"tile{number}.png")
    assert 0 == simgen(["known", str(photos), str(out)])
    return out


def test_images_become_a_table_of_known_truth(scenes, tmp_path, capsys):
    """Every method and network, plain and registered, with the protocol's indices and its page."""
    code = main(
        [
            *("benchmark", str(scenes), "--protocol", "known", "--methods", "EXP,GSA"),
            *("--registered", "--weights", "default", "--out", str(tmp_path)),
        ]
    )

    assert 0 == code
    results = json.loads((tmp_path / "results.json").read_text())
    methods = ["EXP", "GSA", "EXP registered", "GSA registered", "network"]
    assert [(f"tile{n}", name) for n in range(2) for name in methods] == [
        (row["scene"], row["method"]) for row in results["rows"]
    ]
    assert {"known"} == {row["protocol"] for row in results["rows"]}
    by_name = {row["method"]: row["indices"] for row in results["rows"]}
    assert list(by_name["GSA"]) == ["ERGAS", "SAM", "Q2n", "SSIM", "dE", "S/truth", "C/truth"]
    assert by_name["network"]["ERGAS"] < by_name["EXP"]["ERGAS"]
    printed = capsys.readouterr().out
    assert "generic, known truth, 2 scenes" in printed
    assert "S/truth →1" in printed
    assert "dE (network / best)" in printed
    page = (tmp_path / "index.html").read_text()
    assert '"known":"known truth"' in page.replace(": ", ":")
    assert "nearest one is better" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--one-shot", "full", "--weights", "default"], "--one-shot tunes on other scenes"),
        (["--convention", "toolbox"], "got --convention toolbox"),
        (["--methods", "GSA"], "known truth needs X_gt.tif beside"),
    ],
)
def test_what_has_no_known_truth_is_one_line(scenes, tmp_path, capsys, flags, message):
    folder = tmp_path / "pairs"
    shutil.copytree(scenes, folder, ignore=shutil.ignore_patterns("*_gt.tif"))

    code = main(
        ["benchmark", str(folder), "--protocol", "known", *flags, "--out", str(tmp_path / "out")]
    )

    error = capsys.readouterr().err
    assert 2 == code
    assert message in error

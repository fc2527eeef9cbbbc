"""The study's part of known truth, in small."""

import numpy as np
import pytest
import torch
from PIL import Image

from bench.study.__main__ import main
from bench.study.known_failures import shortfalls, worst_square
from shards.errors import PanpriorError
from tests.support.geotiffs import write_pair


@pytest.fixture(autouse=True)
def threads():
    """The study sets torch's threads; they are put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_image(path, seed):
    rng = np.random.default_rng(seed)
    patches = np.kron(rng.integers(20, 235, (24, 24, 3)), np.ones((10, 10, 1)))
    noisy = np.clip(patches + rng.normal(0, 6, patches.shape), 0, 255)
    Image.fromarray(noisy.astype(np.uint8)).save(path)


@pytest.mark.slow
def test_images_become_tables_of_known_truth(tmp_path, capsys):
    """Scene by scene, against the best and three by name, detail, and the MTF given."""
    photos, work = tmp_path / "photos", tmp_path / "work"
    photos.mkdir()
    write_image(photos / "one.png", 1)

    assert 0 == main(["known", "--photos", str(photos), "--work", str(work)])
    first = capsys.readouterr().out
    assert 0 == main(["known", "--work", str(work), "--table"])

    tables = capsys.readouterr().out
    made = ["--scenes", str(work / "known" / "scenes"), "--work", str(work)]
    assert 0 == main(["known-failures", *made])
    with Image.open(work / "known" / "failures" / "one.webp") as picture:
        assert (3 * 256, 2 * 256) == picture.size
    assert "| one " in capsys.readouterr().out
    assert first.endswith(tables)
    cells = {
        line.split("|")[1].strip(): line.split("|")[2:-1]
        for line in tables.splitlines()
        if "|" in line
    }
    assert 5 == len(cells["one"])
    assert cells["BT-H registered"][-1].strip() in ("0 of 1", "1 of 1")
    assert 1 == float(cells["1 of the true"][1])
    assert 0.9 < float(cells["0.85 of the true"][1]) < 1.2
    assert cells["estimated"] != cells["0.85 of the true"]
    assert "at once, registered too: " in tables


def test_pairs_without_a_truth_or_its_facts_are_one_line(tmp_path, capsys):
    rng = np.random.default_rng(0)
    pan = rng.integers(200, 1500, (1, 192, 192))
    write_pair(tmp_path, pan, pan.reshape(1, 48, 4, 48, 4).mean((2, 4)), name="x")

    codes = [
        main(["known", "--work", str(tmp_path / "work")]),
        main(["known", "--work", str(tmp_path / "work"), "--scenes", str(tmp_path)]),
    ]

    assert [2, 2] == codes
    lines = capsys.readouterr().err.splitlines()
    assert "give --scenes, or --photos" in lines[0]
    assert "known truth needs X_gt.tif" in lines[1]


def test_the_worst_square_is_where_the_network_errs_and_the_rival_does_not():
    """Error of 9 against 1, and one of 90 that both share."""
    own, rival = torch.ones(96, 128), torch.ones(96, 128)
    own[:64, :64], rival[:64, :64] = 90.0, 90.0
    own[32:, 64:] = 9.0

    corner, ratio = worst_square(own, rival)

    assert (32, 64) == corner
    assert 3 == pytest.approx(ratio)


def test_scenes_come_by_their_distance_from_their_best_rival():
    kept = {name: {"network": {"ERGAS": value}} for name, value in (("a", 2.0), ("b", 3.0))}
    others = {"a": {"GSA": {"ERGAS": 4.0}, "BT-H": {"ERGAS": 1.0}}, "b": {"GSA": {"ERGAS": 6.0}}}

    worst, best = shortfalls(kept, others, ["b", "a"])

    assert ("a", "BT-H", 2.0) == (worst.scene, worst.rival, worst.ratio)
    assert ("b", "GSA", 0.5) == (best.scene, best.rival, best.ratio)
    with pytest.raises(PanpriorError, match="no scene c was scored; have: a, b"):
        shortfalls(kept, others, ["c"])


@pytest.mark.slow
def test_limits_of_known_truth(tmp_path, capsys):
    """More coloured detail is a higher C; one scene is its own mean; tuning changes its ERGAS."""
    photos, work = tmp_path / "photos", tmp_path / "work"
    photos.mkdir()
    write_image(photos / "one.png", 1)
    assert 0 == main(["known", "--photos", str(photos), "--work", str(work)])
    made = ["--scenes", str(work / "known" / "scenes"), "--work", str(work)]

    assert 0 == main(["known-limits", *made, "--steps", "6"])

    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if "|" in line]
    cells = {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}
    assert float(cells["0"][3]) < float(cells["1"][3]) < float(cells["2.5"][3])
    assert cells["one"] == cells["mean"]
    assert float(cells["one"][0]) != 1

"""Every part of the study in small: a command each, on made scenes and photographs."""

import json
import shutil
from statistics import fmean

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from bench.study import trained
from bench.study.__main__ import main
from bench.study.baseline import best_classical
from bench.study.scoring import read_cases
from fusiontrain.fusion.sensor_model import estimate_pair
from fusiontrain.models.registry import build_model
from fusiontrain.scenes.discovery import find_scenes
from tests.support.geotiffs import write_pair
from tests.support.networks import save_network


@pytest.fixture(autouse=True)
def threads():
    """The study sets torch's threads; they are put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_scene(folder, name, fine, **facts):
    """fine (C, H, W): its mean as PAN, four of its pixels a side as the MS's one."""
    C, H, W = fine.shape
    ms = fine.reshape(C, H // 4, 4, W // 4, 4).mean((2, 4))
    pan = fine.mean(0, keepdims=True)
    write_pair(folder, np.floor(pan), np.floor(ms), name=name, facts=facts or None)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Two scenes of IKONOS and one of QuickBird, of different ground, 64 MS pixels a side."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed, (name, sensor) in enumerate((("a", "IKONOS"), ("b", "IKONOS"), ("c", "QuickBird"))):
        rng = np.random.default_rng(seed)
        fine = rng.normal(0, 1, (4, 256, 256)).cumsum(1).cumsum(2)
        fine = 300 + 200 * (fine - fine.min()) / np.ptp(fine) + rng.normal(0, 9, fine.shape)
        write_scene(folder, name, fine, sensor=sensor)
    return folder


@pytest.fixture
def weights(tmp_path):
    """Of a network as built: it is the injection."""
    torch.manual_seed(0)
    sizes = {"width": 8, "blocks": 1}
    return save_network(tmp_path / "w.safetensors", build_model("anyband", **sizes), **sizes)


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        ("families", ["anyband-small", "anyband-pannet"]),
        ("simulation", ["paper", "no-noise"]),
        ("data", ["both-30", "both-all"]),
    ],
)
def test_a_part_that_trains(photos, scenes, tmp_path, capsys, part, rows):
    """Rows over what the injection reaches; a second call trains nothing and prints the same."""
    given = [part, "--photos", str(photos), "--scenes", str(scenes), "--work", str(tmp_path)]
    given += ["--seconds", "0.1", "--crop", "32", "--tile", "64", "--only", *rows]

    assert 0 == main(given)
    first = capsys.readouterr().out
    kept = {p: p.read_bytes() for p in (tmp_path / part).glob("*.json")}
    assert 0 == main([*given, "--table"])

    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert 2 + len(rows) == len(lines)
    assert lines == [line for line in first.splitlines() if line.startswith("|")]
    assert {f"{row}-0.json" for row in rows} == {p.name for p in kept}
    kept = json.loads(kept[tmp_path / part / f"{rows[0]}-0.json"])
    assert {"a", "b", "c"} == set(kept["figures"])


def test_what_real_pairs_teach_is_judged_on_other_sensors(
    photos, scenes, tmp_path, capsys, monkeypatch
):
    """Beside the other rows on the same scenes; its shards are of the pairs it may see alone."""
    monkeypatch.setattr(trained, "TRAINING_SENSORS", ("IKONOS",))
    given = ["data", "--photos", str(photos), "--scenes", str(scenes), "--work", str(tmp_path)]
    given += ["--seconds", "0.1", "--crop", "32", "--tile", "64", "--only", "both-all", "real"]

    assert 0 == main(given)

    whole, _, others = capsys.readouterr().out.partition("On 1 scenes of other sensors")
    assert ("| both, all |" in whole, "by Wald's protocol" in whole) == (True, False)
    assert ("| both, all |" in others, "by Wald's protocol" in others) == (True, True)
    assert {"c"} == set(json.loads((tmp_path / "data" / "real-0.json").read_text())["figures"])
    sources = {path.name for path in (tmp_path / "pairs").iterdir()}
    assert {f"{name}{ending}" for name in "ab" for ending in ("_pan.tif", "_ms.tif", ".json")} == (
        sources
    )


@pytest.mark.slow
def test_the_papers_sensors_by_simulation(weights, tmp_path, capsys):
    """WorldView-4 has no scene; of a network as built the figures are its injection's."""
    given = ["sensors", "--work", str(tmp_path), "--tile", "128", "--weights", str(weights)]

    assert 0 == main([*given, "--only", "WorldView-4"])

    (row,) = [line for line in capsys.readouterr().out.splitlines() if "WorldView-4" in line[:14]]
    kept = json.loads((tmp_path / "sensors" / "WorldView-4.json").read_text())["rows"]
    figures = {(one["scene"], one["method"]): one["indices"]["ERGAS"] for one in kept}
    samples = {scene for scene, _ in figures}
    assert f"| WorldView-4, 4 bands | {len(samples)} |" in row
    assert len(samples) >= 8
    mean = {m: sum(figures[scene, m] for scene in samples) for m in ("network", "EXP")}
    assert mean["network"] < 0.9 * mean["EXP"]


def test_what_hqnr_says_of_the_truth(scenes, weights, tmp_path, capsys):
    """Settings against a made-up baseline; one level down the truth is scored as well.

    Scene a's baseline is under any HQNR, b's above: better on 1 of 2.
    """
    baseline = tmp_path / "baseline.json"
    rows = [
        {"scene": name, "protocol": "full", "method": "GSA", "indices": {"HQNR": v, "HQNR_reg": v}}
        for name, v in (("a", 0.0), ("b", 1.0))
    ]
    baseline.write_text(json.dumps({"rows": rows}))
    given = ["hqnr", "--scenes", str(scenes), "--work", str(tmp_path), "--weights", str(weights)]

    assert 0 == main([*given, "--baseline", str(baseline), "--only", "a", "b"])
    first = capsys.readouterr().out
    assert 0 == main(["hqnr", "--work", str(tmp_path), "--baseline", str(baseline), "--table"])

    assert first == capsys.readouterr().out
    settings = [
        line for line in first.splitlines() if line.startswith(("| as", "| softness", "| PAN"))
    ]
    assert 4 == len(settings)
    assert all(line.endswith("| 1 of 2 | 1 of 2 |") for line in settings)
    down = json.loads((tmp_path / "hqnr" / "a.json").read_text())["down"]
    # Wald's first property: the truth through the MTF is the MS, which substitution spoils.
    assert down["the truth"]["D_lambda_K"] < min(down[m]["D_lambda_K"] for m in ("GS", "PCA"))
    assert "the truth: HQNR above the best classical method's on" in first


def test_without_an_effect_only_that_effect_is_off():
    """Each row differs from `sensor` in what it names, and is a recipe that simgen takes."""
    from simgen.recipes import find_recipe

    whole = find_recipe("sensor").as_data()
    for name, (_, changes) in trained.WITHOUT.items():
        less = find_recipe("sensor").with_fields(**changes).as_data()
        differing = {key for key in whole if whole[key] != less[key]}
        assert differing, name
        assert differing <= set(changes), name


def test_one_pair_teaches_the_other_of_its_sensor(scenes, weights, tmp_path, capsys):
    """Zero-shot, full, freeze and scratch; QuickBird has one scene and is what may be forgotten."""
    given = ["one-shot", "--scenes", str(scenes), "--work", str(tmp_path), "--steps", "2"]

    assert 0 == main([*given, "--weights", str(weights)])

    kept = json.loads((tmp_path / "one-shot" / "IKONOS.json").read_text())
    assert "a" == kept["training_scene"]
    assert ["zero-shot", "full", "freeze", "scratch"] == list(kept["runs"])
    for run in kept["runs"].values():
        assert ({"b"}, {"c"}) == (set(run["own"]), set(run["others"]))
    own = [run["own"]["b"]["ERGAS"] for run in kept["runs"].values()]
    assert 4 == len(set(own))  # each is another network
    assert 4 == capsys.readouterr().out.count("| IKONOS | a |")


def test_what_adapting_gains(weights, tmp_path, capsys):
    """A scene that is large enough, and one that is not, which is said; kept, and not run again."""
    for name, side in (("large", 144), ("small", 64)):
        rng = np.random.default_rng(side)
        fine = rng.normal(0, 1, (3, 4 * side, 4 * side)).cumsum(1).cumsum(2)
        fine = 300 + 900 * (fine - fine.min()) / np.ptp(fine) + rng.normal(0, 9, fine.shape)
        write_scene(tmp_path, name, fine)
    given = ["adapt", "--scenes", str(tmp_path), "--work", str(tmp_path / "work"), "--steps", "3"]

    assert 0 == main([*given, "--weights", str(weights)])
    first = [line for line in capsys.readouterr().out.splitlines() if line[:4] != "adap"]
    assert 0 == main([*given, "--table"])

    assert first == capsys.readouterr().out.splitlines()
    kept = json.loads((tmp_path / "work" / "adapt" / "large.json").read_text())
    (run,) = kept["runs"]
    before, after = run["own"]["ergas"]
    assert (3, before > after) == (run["own"]["steps"], run["own"]["kept"])
    assert "truth" not in run["down"]
    (small,) = [line for line in first if line.startswith("| small |")]
    assert "| 0 |" in small
    assert "too small" in small


def test_the_dial_and_the_failures(scenes, weights, tmp_path, capsys):
    """As built the network is the injection, so no tile is worse than what it starts from."""
    given = ["--scenes", str(scenes), "--work", str(tmp_path), "--weights", str(weights)]

    assert 0 == main(["softness", *given])
    said = capsys.readouterr().out
    assert 0 == main(["failures", *given])
    tiles = [line for line in capsys.readouterr().out.splitlines() if line[:4] in ("| a ", "| b ")]

    for name in ("estimated", "nominal", "auto, the MTF too (fuse)", "0.1", "0.9"):
        assert f"| {name} |" in said
    assert tiles
    assert all("| 1.000 |" in line for line in tiles)
    with Image.open(tmp_path / "failures" / "a.webp") as picture:
        assert (4 * 2 * 64, 2 * 64) == picture.size


def test_reduced_data_get_the_softness_of_their_sensor(scenes, tmp_path):
    """A scene with a truth of its own has no pair to measure on: the sensor's mean, one number."""
    for path in scenes.iterdir():
        shutil.copy(path, tmp_path)
    with rasterio.open(scenes / "a_pan.tif") as file:
        options = file.profile | {"count": 4}
    shutil.copy(tmp_path / "a_ms.tif", tmp_path / "given_ms.tif")
    shutil.copy(tmp_path / "a_pan.tif", tmp_path / "given_pan.tif")
    (tmp_path / "given.json").write_text(json.dumps({"sensor": "IKONOS"}))
    with rasterio.open(tmp_path / "given_gt.tif", "w", **options) as file:
        file.write(np.full((4, 256, 256), 500, "uint16"))

    cases = {c.name: c.sensor_model.softness for c in read_cases([tmp_path])}

    assert {"a", "b", "c", "given"} == set(cases)
    found = {entry.name: entry for entry in find_scenes([scenes])}
    expected = fmean(estimate_pair(found[name].load()).softness for name in ("a", "b"))
    np.testing.assert_allclose(cases["given"], [expected] * 4, rtol=1e-6)
    assert len(set(cases["a"].tolist())) > 1  # each band's own, where the pair shows it


def test_a_bar_is_the_best_of_each_scene_and_index(tmp_path):
    """Registered methods and networks are no part of it, nor is full resolution."""
    kept = (
        ("reduced", "GSA", (2, 5, 0.8)),
        ("reduced", "GSA soft", (3, 4, None)),
        ("reduced", "GSA registered", (1, 1, 1)),
        ("reduced", "network", (0.1, 0.1, 1)),
        ("full", "EXP", (0.1, 0.1, 1)),
    )
    rows = [
        {"scene": "s", "protocol": protocol, "method": method}
        | {"indices": dict(zip(("ERGAS", "SAM", "Q2n"), values, strict=True))}
        for protocol, method, values in kept
    ]

    assert {"s": {"ERGAS": 2, "SAM": 4, "Q2n": 0.8}} == best_classical(rows)


def test_a_part_without_photographs_is_one_line(scenes, tmp_path, capsys):
    code = main(["data", "--scenes", str(scenes), "--work", str(tmp_path)])

    assert 2 == code
    assert "give --photos" in capsys.readouterr().err

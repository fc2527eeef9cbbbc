"""fusiontrain benchmark, as a user calls it."""

import csv
import json
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from fusiontrain.cli import main
from fusiontrain.commands import benchmark_scoring
from fusiontrain.commands.benchmark import make_parser
from fusiontrain.evaluation import benchmark
from fusiontrain.evaluation.benchmark import scene_entries
from fusiontrain.evaluation.results import BenchmarkResults
from fusiontrain.fusion import sensor_model
from fusiontrain.scenes import discovery
from tests.support.geotiffs import write_pair


def write_scene(folder, name, *, seed, side=64, ratio=4):
    """X_pan.tif and X_ms.tif, four bands, 11 bits."""
    rng = np.random.default_rng(seed)
    pan = rng.integers(200, 1500, (1, side * ratio, side * ratio))
    ms = pan.reshape(1, side, ratio, side, ratio).mean((2, 4)) * [
        [[0.6]],
        [[0.8]],
        [[0.9]],
        [[1.1]],
    ]
    write_pair(folder, pan, np.floor(ms), name=name)


def test_scenes_of_a_folder_become_tables_and_a_page(tmp_path, capsys):
    folder, out = tmp_path / "scenes", tmp_path / "out"
    folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        write_scene(folder, name, seed=seed)
    published = tmp_path / "published.csv"
    published.write_text(
        "scene,sensor,protocol,method,ERGAS,source\none,generic,reduced,PNN,2.5,Masi 2016\n"
    )

    code = main(
        [
            *("benchmark", str(folder), "--methods", "EXP,GSA,GSA soft", "--out", str(out)),
            *("--published", str(published), "--picture-side", "64"),
        ]
    )

    assert 0 == code
    results = json.loads((out / "results.json").read_text())
    ours = [row for row in results["rows"] if row["origin"] == "measured here"]
    assert 2 * 2 * 3 == len(ours)
    assert {"one", "two"} == {row["scene"] for row in ours}
    theirs = [row for row in results["rows"] if row["origin"] != "measured here"]
    assert [("PNN", "Masi 2016", None)] == [
        (row["method"], row["origin"], row["seconds"]) for row in theirs
    ]
    lines = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert len(results["rows"]) == len(lines)
    gsa = [row["indices"] for row in ours if row["method"] == "GSA"]
    by_hand = [indices["ERGAS"] for indices in gsa if "ERGAS" in indices]
    line = next(x for x in (out / "tables.md").read_text().splitlines() if x.startswith("| GSA  "))
    digits = line.split("|")[3].strip(" *").split(" ")[0].removeprefix("<ins>").strip("*")
    assert np.mean(by_hand) == pytest.approx(float(digits), rel=1e-3)
    assert r"\toprule" in (out / "tables.tex").read_text()
    assert "Masi 2016" in (out / "index.html").read_text()
    shown = capsys.readouterr().out
    assert "GSA soft" in shown
    for text in (shown, *((out / name).read_text() for name in ("tables.md", "index.html"))):
        assert "Frame pan: the MS is moved to PAN for every method and index" in text
    assert str(out / "index.html") in shown


def test_a_scene_with_an_undeclared_fill_is_left_out(tmp_path, capsys):
    """And said; the other scene has its tables."""
    folder, out = tmp_path / "scenes", tmp_path / "out"
    folder.mkdir()
    write_scene(folder, "one", seed=0)
    pan = np.random.default_rng(1).integers(200, 1500, (1, 256, 256))
    ms = pan.reshape(1, 64, 4, 64, 4).mean((2, 4)).repeat(3, 0).astype("float32")
    ms[:, :5] = np.finfo("float32").min
    write_pair(folder, pan, ms, name="two", dtype="float32")

    assert 0 == main(["benchmark", str(folder), "--methods", "EXP", "GSA", "--out", str(out)])

    results = json.loads((out / "results.json").read_text())
    assert {"one"} == {row["scene"] for row in results["rows"]}
    assert (out / "index.html").is_file()
    assert "left out two, any:" in (said := capsys.readouterr().out)
    assert "--nodata -3.4028234663852886e+38" in said


def test_a_method_that_fails_unforeseen_costs_its_score_alone(tmp_path, capsys, monkeypatch):
    write_scene(tmp_path, "one", seed=0)
    score = benchmark.score

    def fails_for_gsa(case, contenders):
        if contenders[0].name == "GSA":
            raise RuntimeError("INTERNAL ASSERT FAILED")
        return score(case, contenders)

    monkeypatch.setattr(benchmark, "score", fails_for_gsa)
    out = str(tmp_path / "out")

    assert 0 == main(["benchmark", str(tmp_path), "--methods", "EXP", "GSA", "--out", out])

    said = capsys.readouterr().out
    assert "left out one, full, GSA: failed in a way that was not foreseen (RuntimeError: " in said


def test_a_pair_is_named_as_fuse_takes_it(tmp_path):
    """What GDAL reads keeps its slashes; the scene has the name of the MS's file."""
    write_scene(tmp_path, "one", seed=3, side=16)
    urls = [f"file://{tmp_path}/one_{kind}.tif" for kind in ("pan", "ms")]
    argv = ["--pan", urls[0], "--ms", urls[1], "--out", str(tmp_path / "out")]

    args = make_parser().parse_args(argv)
    (entry,) = scene_entries(args.scenes, args.pan, args.ms, None)

    assert urls == [entry.pan, *entry.ms]
    assert ("one_ms", (4, 16, 16)) == (entry.load().name, tuple(entry.load().ms.shape))


def test_each_scene_is_read_and_estimated_once(tmp_path, monkeypatch):
    """Under both protocols and by all methods."""
    reads, estimates = [], []
    read, window = discovery.read_scene, sensor_model.fullest_window
    monkeypatch.setattr(
        discovery, "read_scene", lambda *a, **k: reads.append(k["name"]) or read(*a, **k)
    )
    monkeypatch.setattr(
        sensor_model, "fullest_window", lambda scene: estimates.append(scene.name) or window(scene)
    )
    write_scene(tmp_path, "one", seed=0)
    write_scene(tmp_path, "two", seed=1)

    options = ["--methods", "EXP,GSA soft", "--out", str(tmp_path / "o")]
    assert 0 == main(["benchmark", str(tmp_path), *options])

    assert ["one", "two"] == reads == estimates


@pytest.mark.parametrize(("frame", "methods"), [("pan", 1), ("ms", 2)])
def test_a_frame_of_pan_has_registered_the_pair_already(tmp_path, frame, methods):
    """A method on a registered PAN is the method itself."""
    write_scene(tmp_path, "one", seed=0)
    how = ["--protocol", "full", "--frame", frame, "--methods", "GS", "--registered"]

    assert 0 == main(["benchmark", str(tmp_path), *how, "--out", str(tmp_path / "o")])

    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert methods == len(results["rows"])
    assert f"Frame {frame}" in results["captions"]["full"]
    assert ("HQNR_reg" in results["rows"][0]["indices"]) == (frame == "ms")


def test_a_pair_of_any_names(tmp_path):
    write_scene(tmp_path, "x", seed=0)
    pair = ["--pan", str(tmp_path / "x_pan.tif"), "--ms", str(tmp_path / "x_ms.tif")]

    code = main(["benchmark", *pair, "--methods", "EXP", "--out", str(tmp_path / "o")])

    assert 0 == code
    assert "x_ms" in (tmp_path / "o" / "results.csv").read_text()


def test_what_cannot_be_scored_is_left_out_with_a_reason(tmp_path, capsys):
    """A scene too small for Wald's protocol is still scored at full resolution."""
    write_scene(tmp_path, "small", seed=0, side=32)
    write_scene(tmp_path, "large", seed=1)

    assert 0 == main(["benchmark", str(tmp_path), "--methods", "EXP", "--out", str(tmp_path / "o")])

    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert [("small", "reduced")] == [(x["scene"], x["protocol"]) for x in results["left_out"]]
    assert "needs 48 MS pixels" in capsys.readouterr().out


@pytest.mark.parametrize("names", [["EXP,", "GSA"], ["exp", "gsa"]])
@pytest.mark.parametrize("scenes_last", [False, True])
def test_names_of_methods_with_blanks_or_commas(tmp_path, names, scenes_last):
    """Scenes may stand after them."""
    write_scene(tmp_path, "x", seed=0)
    methods = ["--methods", *names]
    words = [*methods, str(tmp_path)] if scenes_last else [str(tmp_path), *methods]
    out = ["--out", str(tmp_path / "o"), "--protocol", "full"]

    code = main(["benchmark", *words, *out])

    assert 0 == code
    rows = json.loads((tmp_path / "o" / "results.json").read_text())["rows"]
    assert ["EXP", "GSA"] == [row["method"] for row in rows]


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ([], "give scenes"),
        (["absent"], "does not exist"),
        (["--pan", "x.tif"], "give scenes"),
        (["{folder}", "--methods", "GSB"], "no method GSB"),
        (["{folder}", "--methods", "none"], "nothing to score"),
        (["{folder}", "--sensor", "Sputnik"], "no sensor"),
        (["{folder}", "--published", "absent.csv"], "cannot read absent.csv"),
        (["{folder}", "--picture-side", "0"], "--picture-side lies in"),
        (["{folder}", "--tune-steps", "0"], "--tune-steps must be"),
        (["{folder}", "--methods", "EXP,EXP"], "names one twice"),
        (["{folder}", "--methods", "EXP", "exp"], "names one twice"),
        (["{folder}", "--pan", "{folder}/x_pan.tif", "--ms", "{folder}/x.tif"], "two scenes are"),
    ],
)
def test_bad_calls_are_one_line_and_code_2(tmp_path, capsys, flags, word):
    """And nothing is written."""
    write_scene(tmp_path, "x", seed=0)
    flags = [flag.format(folder=tmp_path) for flag in flags]

    assert 2 == main(["benchmark", *flags, "--out", str(tmp_path / "o")])

    said = capsys.readouterr().err.strip()
    assert word in said
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_every_real_scene_is_scored(shared, tmp_path, capsys):
    """4 and 8 bands, ratios 2 and 4, 8 to 16 bits, with and without a truth of their own."""
    out = tmp_path / "out"

    scenes = str(shared("data/real"))
    small = ["--methods", "GSA soft", "--picture-side", "64"]

    code = main(["benchmark", scenes, *small, "--out", str(out)])

    assert 0 == code
    results = json.loads((out / "results.json").read_text())
    scored = {(row["scene"], row["protocol"]) for row in results["rows"]}
    there = {path.name.removesuffix("_ms.tif") for path in shared("data/real").glob("*_ms.tif")}
    assert there == {scene for scene, protocol in scored if protocol == "full"}
    # WorldView-3's 32 MS pixels are too few for Wald's protocol at ratio 4.
    assert [("WV3_zpnn_1", "reduced")] == [
        (one["scene"], one["protocol"]) for one in results["left_out"]
    ]
    assert all(value is not None for row in results["rows"] for value in row["indices"].values())


def test_one_bad_scene_does_not_stop_the_others(tmp_path, capsys):
    """Ratio 3 has no 23-tap interpolation: left out in the toolbox's phase, said, and on."""
    write_scene(tmp_path, "good", seed=0)
    write_scene(tmp_path, "odd", seed=1, ratio=3)

    code = main(
        [
            *("benchmark", str(tmp_path), "--methods", "GSA", "--out", str(tmp_path / "o")),
            *("--convention", "toolbox", "--protocol", "reduced"),
        ]
    )

    assert 0 == code
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert {"good"} == {row["scene"] for row in results["rows"]}
    assert "odd" in results["left_out"][0]["scene"]
    assert "left out odd" in capsys.readouterr().out


@pytest.mark.parametrize(("after", "kept"), [(1, 1), (0, 0)])
def test_a_stop_keeps_what_is_scored_and_says_so(tmp_path, capsys, monkeypatch, after, kept):
    """SIGTERM while the case after that many is scored."""
    folder, out = tmp_path / "scenes", tmp_path / "out"
    folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        write_scene(folder, name, seed=seed)
    score_case, cases = benchmark_scoring.score_case, []

    def stopped(case, *given):
        cases.append(case.name)
        if len(cases) > after:
            os.kill(os.getpid(), signal.SIGTERM)
        yield from score_case(case, *given)

    monkeypatch.setattr(benchmark_scoring, "score_case", stopped)
    flags = ["--methods", "EXP", "--protocol", "reduced", "--picture-side", "64"]

    assert 128 + signal.SIGTERM == main(["benchmark", str(folder), *flags, "--out", str(out)])

    error = capsys.readouterr().err
    said = f"the scores so far are in {out / 'results.json'}" if kept else "nothing was written"
    assert f"stopped by SIGTERM; {said}" in error
    rows = json.loads((out / "results.json").read_text())["rows"] if kept else []
    assert cases[:kept] == [row["scene"] for row in rows]


def test_a_scene_is_read_once_for_all_protocols(tmp_path):
    write_scene(tmp_path, "one", seed=0)
    results = BenchmarkResults(folder=tmp_path, title="x", side=64)
    (loaded,) = benchmark.load_scenes(scene_entries([tmp_path], None, [], None, None), results)
    reads = []

    def load():
        reads.append(1)
        return loaded.entry.load()

    counted = replace(loaded, entry=SimpleNamespace(name="one", load=load))
    cases = benchmark.cases_of(counted, ("reduced", "full"), None, {}, results, "pan")

    assert ["reduced", "full"] == [case.protocol for case in cases]
    assert 1 == len(reads)

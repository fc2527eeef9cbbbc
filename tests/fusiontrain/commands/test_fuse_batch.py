"""`fuse FOLDER OUT_FOLDER`: every pair, summed up, resumed, checked before work begins."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from fusiontrain.cli import main
from fusiontrain.commands import fuse_batch
from fusiontrain.errors import InterruptedBySignal
from shards.errors import OutputError
from tests.support.geotiffs import write_geotiff, write_pair

COMMON = ("--method", "exp", "--register", "off")


@pytest.fixture
def folder(tmp_path):
    """Three pairs: two here, one in a folder below; names with blanks."""
    root = tmp_path / "my scenes"
    (root / "be low").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for place, name in ((root, "a 1"), (root, "b"), (root / "be low", "c")):
        pan, ms = rng.uniform(100, 900, (1, 64, 64)), rng.uniform(100, 900, (3, 16, 16))
        write_pair(place, pan, ms, name=name)
    with rasterio.open(root / "b_pan.tif", "r+") as file:
        file.update_tags(ACQUISITION_DATE="2020-02-03", SATID="WV02", OTHER="x")
    return root


def fuse(folder, out, *flags):
    return main(["fuse", str(folder), str(out), *COMMON, *flags])


def written(out):
    return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}


def break_pair(folder):
    """b's MS is cut short; its whole bytes."""
    path = folder / "b_ms.tif"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    return whole


def test_every_pair_under_its_name(folder, tmp_path, capsys):
    """The pixels of each pair fused alone; the PAN's acquisition goes with them."""
    out, report = tmp_path / "o u t" / "deep", tmp_path / "r.json"

    assert 0 == fuse(folder, out, "--json", str(report))

    assert {"a 1.tif", "b.tif", "be low/c.tif"} == written(out)
    assert "3 pairs: 3 fused" in capsys.readouterr().out
    facts = json.loads(report.read_text())
    assert [("a 1", "fused"), ("b", "fused"), ("be low/c", "fused")] == [
        (row["name"], row["state"]) for row in facts["scenes"]
    ]
    assert facts["complete"]
    alone = tmp_path / "alone.tif"
    main(["fuse", str(folder / "b_pan.tif"), str(folder / "b_ms.tif"), str(alone), *COMMON])
    with rasterio.open(alone) as one, rasterio.open(out / "b.tif") as other:
        assert np.array_equal(one.read(), other.read())
        tags = other.tags()
    assert ("2020-02-03", "WV02") == (tags["ACQUISITION_DATE"], tags["SATID"])
    assert "OTHER" not in tags


def test_a_failure_does_not_stop_the_others(folder, tmp_path, capsys):
    """Exit code 2; afterwards only what failed is left to do."""
    out, report = tmp_path / "out", tmp_path / "r.json"
    whole = break_pair(folder)

    assert 2 == fuse(folder, out, "--json", str(report))

    said = capsys.readouterr()
    assert "b: cannot read" in said.err
    assert "2 fused, 1 failed" in said.out
    states = {row["name"]: row["state"] for row in json.loads(report.read_text())["scenes"]}
    assert {"a 1": "fused", "b": "failed", "be low/c": "fused"} == states
    before = {name: (out / name).stat().st_mtime_ns for name in written(out)}
    (folder / "b_ms.tif").write_bytes(whole)

    assert 0 == fuse(folder, out)

    assert "1 fused, 2 skipped" in capsys.readouterr().out
    assert before == {name: (out / name).stat().st_mtime_ns for name in before}


def test_an_error_that_nobody_foresaw_costs_its_pair_alone(folder, tmp_path, capsys, monkeypatch):
    """The row of the report names its type; exit code 2."""
    fuse_pair = fuse_batch.fuse_pair

    def fails_on_b(request, *given, **more):
        if request.output.path.name == "b.tif":
            raise np.linalg.LinAlgError("SVD did not converge")
        return fuse_pair(request, *given, **more)

    monkeypatch.setattr(fuse_batch, "fuse_pair", fails_on_b)
    out, report = tmp_path / "out", tmp_path / "r.json"

    assert 2 == fuse(folder, out, "--json", str(report))

    said = capsys.readouterr()
    assert "b: failed in a way that was not foreseen (LinAlgError: SVD did not conv" in said.err
    assert "2 fused, 1 failed" in said.out
    assert ["fused", "failed", "fused"] == [
        row["state"] for row in json.loads(report.read_text())["scenes"]
    ]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, InterruptedBySignal(15)])
def test_what_stops_the_program_stops_the_batch(folder, tmp_path, monkeypatch, stop):
    def stopped(*_, **__):
        raise stop

    monkeypatch.setattr(fuse_batch, "fuse_pair", stopped)

    if isinstance(stop, InterruptedBySignal):
        assert 128 + 15 == fuse(folder, tmp_path / "out")
    elif stop is KeyboardInterrupt:
        assert 128 + 2 == fuse(folder, tmp_path / "out")
    else:
        with pytest.raises(stop):
            fuse(folder, tmp_path / "out")


def test_pairs_without_a_place_get_the_remedy_once(tmp_path, capsys, monkeypatch):
    """Below the table, whole; in the table only which file it is."""
    monkeypatch.chdir(tmp_path)  # a long path would be cut
    root = Path("in")
    root.mkdir()
    for name in ("a", "b"):
        write_geotiff(root / f"{name}_pan.tif", np.ones((1, 64, 64)), None, None)
        write_geotiff(root / f"{name}_ms.tif", np.ones((3, 16, 16)), None, None)

    assert 2 == fuse(root, "out")

    head, *rows, remedy, counts = capsys.readouterr().out.splitlines()[-6:]
    assert head.split()[-1] == "note"
    assert all(row.endswith("_pan.tif has no geotransform") for row in rows[1:])
    assert "give --assume-aligned if PAN and MS cover the same ground from corner" in remedy
    assert "2 pairs: 2 failed" in counts


def test_the_network_is_loaded_once(folder, tmp_path, weights, monkeypatch):
    made = []
    make = fuse_batch.make_fuser
    monkeypatch.setattr(fuse_batch, "make_fuser", lambda *a: made.append(a) or make(*a))

    code = main(["fuse", str(folder), str(tmp_path / "o"), "--weights", str(weights),
                 "--register", "off", "--softness", ".3"])  # fmt: skip

    assert (0, 1) == (code, len(made))


def test_other_options_are_refused_or_overwrite(folder, tmp_path, capsys):
    """So are outputs of other inputs and files that are none of ours."""
    out = tmp_path / "out"
    fuse(folder, out)

    assert 2 == fuse(folder, out, "--dtype", "float32")
    assert "--overwrite" in capsys.readouterr().err
    os.utime(folder / "b_ms.tif", ns=(1, 1))
    assert 2 == fuse(folder, out)
    assert "b.tif" in capsys.readouterr().err
    assert 0 == fuse(folder, out, "--dtype", "float32", "--overwrite")
    with rasterio.open(out / "a 1.tif") as file:
        assert "float32" == file.dtypes[0]
    (out / "b.tif").write_text("notes")
    assert 2 == fuse(folder, out, "--dtype", "float32")
    assert "notes" == (out / "b.tif").read_text()


def test_what_cannot_be_is_refused_before_work(folder, tmp_path, capsys):
    """Nothing is written."""
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    cases = [
        (folder, folder / "out", "lies in"),
        (folder, folder, "lies in"),
        (folder, tmp_path / "file", "is no folder"),
        (tmp_path / "empty", tmp_path / "o", "has no pair"),
        (tmp_path / "absent", tmp_path / "o", "is no folder"),
        (folder / "b_pan.tif", folder / "b_ms.tif", "PAN.tif MS.tif OUT.tif"),
    ]
    for source, out, words in cases:
        assert 2 == fuse(source, out), words
        assert words in capsys.readouterr().err
    assert 2 == fuse(folder, tmp_path / "o", "--quicklook", str(tmp_path / "q.png"))
    assert not (tmp_path / "o").exists()


def test_two_scenes_of_one_name(folder, tmp_path, capsys):
    """By case alone: on some disks they are one file."""
    for kind in ("pan", "ms"):
        data = (folder / f"b_{kind}.tif").read_bytes()
        (folder / f"B_{kind}.tif").write_bytes(data)

    assert 2 == fuse(folder, tmp_path / "o")

    assert "two scenes would be written to" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_folder_that_cannot_be_written(folder, tmp_path, monkeypatch):
    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fuse_batch.Path, "mkdir", closed)

    with pytest.raises(OutputError, match="cannot write into"):
        fuse_batch._make_folders(fuse_batch.list_pairs(folder, tmp_path / "o")[0])


def test_stopped_between_scenes(folder, tmp_path, monkeypatch, capsys):
    """Whole files only, the summary of what was done, and a resume."""
    real, calls = fuse_batch.fuse_pair, []

    def stopping(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise InterruptedBySignal(2)
        return real(*args, **kwargs)

    monkeypatch.setattr(fuse_batch, "fuse_pair", stopping)

    assert 130 == fuse(folder, tmp_path / "o")

    assert {"a 1.tif"} == written(tmp_path / "o")
    said = capsys.readouterr()
    assert "1 fused, 2 not begun" in said.out
    assert "stopped by SIGINT; outputs there are whole" in said.err
    assert 0 == fuse(folder, tmp_path / "o")
    assert "2 fused, 1 skipped" in capsys.readouterr().out


def test_dry_run_and_pictures(folder, tmp_path, capsys):
    out = tmp_path / "o"

    assert 0 == fuse(folder, out, "--dry-run")
    assert not out.exists()
    assert "3 planned" in capsys.readouterr().out
    assert 0 == fuse(folder, out, "-of", "JPEG", "--scale", "2%,98%")
    assert {"a 1.jpg", "b.jpg", "be low/c.jpg"} <= written(out)
    assert 0 == fuse(folder, out, "-of", "JPEG", "--scale", "2%,98%")
    assert "3 skipped" in capsys.readouterr().out


def test_landsat_files_one_a_band(tmp_path):
    """B1 to B7 in order, named by the scene."""
    root = tmp_path / "in"
    root.mkdir()
    rng = np.random.default_rng(0)
    grid = Affine(15, 0, 300_000, 0, -15, 4_800_000)
    for band in range(1, 9):
        side, scale = (64, 1) if band == 8 else (32, 2)
        image = rng.uniform(6000, 9000, (1, side, side))
        path = root / f"LC08_L1TP_042034_B{band}.TIF"
        write_geotiff(path, image, grid @ Affine.scale(scale), dtype="uint16")

    assert 0 == fuse(root, tmp_path / "o")

    with rasterio.open(tmp_path / "o" / "LC08_L1TP_042034.tif") as file:
        assert 7 == file.count
        assert ["blue", "green", "red"] == [color.name for color in file.colorinterp[1:4]]


def test_flags_may_stand_between_the_files(folder, tmp_path):
    pan, ms = (str(folder / f"b_{kind}.tif") for kind in ("pan", "ms"))

    assert 0 == main(["fuse", pan, "--method", "exp", ms, "--register", "off", str(tmp_path / "f")])

"""No output takes the place of what is read, under whatever name either was given."""

import os
import zipfile

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster

from fusiontrain.cli import main
from tests.support.geotiffs import write_pair


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(5)
    return write_pair(tmp_path, rng.uniform(1, 900, (1, 64, 64)), rng.uniform(1, 900, (2, 16, 16)))


def as_it_is(folder):
    return str(folder / "ms.tif"), folder / "ms.tif"


def by_url(folder):
    return f"file://{folder}/ms.tif", folder / "ms.tif"


def by_directory(folder):
    return f"GTIFF_DIR:1:{folder}/ms.tif", folder / "ms.tif"


def a_source_of_a_vrt(folder):
    copy_raster(folder / "ms.tif", folder / "ms.vrt", driver="VRT")
    return str(folder / "ms.vrt"), folder / "ms.tif"


def a_source_of_a_vrt_of_a_vrt(folder):
    copy_raster(folder / "ms.tif", folder / "ms.vrt", driver="VRT")
    (folder / "2.vrt").write_text((folder / "ms.vrt").read_text().replace("ms.tif", "ms.vrt"))
    return str(folder / "2.vrt"), folder / "ms.tif"


def a_symbolic_link(folder):
    (folder / "link.tif").symlink_to(folder / "ms.tif")
    return str(folder / "ms.tif"), folder / "link.tif"


def a_hard_link(folder):
    os.link(folder / "ms.tif", folder / "link.tif")
    return str(folder / "link.tif"), folder / "ms.tif"


def an_archive(folder):
    with zipfile.ZipFile(folder / "ms.zip", "w") as archive:
        archive.write(folder / "ms.tif", "in/ms.tif")
    return f"/vsizip/{folder}/ms.zip/in/ms.tif", folder / "ms.zip"


def a_sidecar(folder):
    (folder / "ms.tif.aux.xml").write_text("<PAMDataset/>")
    return str(folder / "ms.tif"), folder / "ms.tif.aux.xml"


WAYS = [
    as_it_is, by_url, by_directory, a_source_of_a_vrt, a_source_of_a_vrt_of_a_vrt,
    a_symbolic_link, a_hard_link, an_archive, a_sidecar,
]  # fmt: skip


@pytest.mark.parametrize("which", ["out", "json"])
@pytest.mark.parametrize("way", WAYS)
def test_an_input_is_not_overwritten(tmp_path, pair, way, which, capsys):
    ms, written = way(tmp_path)
    before = written.read_bytes()
    out = written if which == "out" else tmp_path / "o.tif"
    call = ["fuse", pair[0], ms, str(out), "--method", "exp", "-q"]

    code = main(call if which == "out" else [*call, "--json", str(written)])

    assert 2 == code
    assert "one of the inputs" in capsys.readouterr().err
    assert before == written.read_bytes()


@pytest.mark.parametrize("flag", ["--json", "--quicklook"])
@pytest.mark.parametrize("kind", ["no folder", "a folder", "closed", "a loop"])
def test_every_output_is_checked_before_work(tmp_path, pair, flag, kind, capsys, monkeypatch):
    """What cannot be written is said at once; an earlier OUT stays as it is."""
    out, other = tmp_path / "o.tif", tmp_path / "sub" / "x.png"
    out.write_bytes(b"earlier")
    if kind != "no folder":
        other.parent.mkdir()
    if kind == "a folder":
        other.mkdir()
    if kind == "a loop":
        other.symlink_to(other.name)
    if kind == "closed":  # tests may run as root
        access = os.access
        monkeypatch.setattr(
            os, "access", lambda path, *mode: path != other.parent and access(path, *mode)
        )

    assert 2 == main(["fuse", *pair, str(out), "--method", "exp", flag, str(other)])

    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert f"cannot write {other}: " in line
    assert not said.out
    assert b"earlier" == out.read_bytes()
    assert {"pan.tif", "ms.tif", "o.tif", "sub"} >= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["o.tif", "o.png"])
def test_outputs_are_written_through_links(tmp_path, pair, there, name):
    """OUT, --json and --quicklook; a PNG has its place by either name."""
    (tmp_path / "there").mkdir()
    names = (name, "r.json", "q.png")
    for each in names:
        (tmp_path / each).symlink_to(tmp_path / "there" / each)
        if there:
            (tmp_path / "there" / each).write_bytes(b"earlier")
    more = ["--json", str(tmp_path / "r.json"), "--quicklook", str(tmp_path / "q.png")]
    if name == "o.png":
        more += ["-ot", "uint8", "--scale", "0,900", "-b", "1"]

    assert 0 == main(["fuse", *pair, str(tmp_path / name), "--method", "exp", "-q", *more])

    for each in names:
        assert (tmp_path / each).is_symlink()
        assert not (tmp_path / "there" / each).is_symlink()
        assert (tmp_path / "there" / each).stat().st_size > 100
    for folder in (tmp_path, tmp_path / "there"):
        with rasterio.open(folder / name) as file, rasterio.open(pair[0]) as pan:
            assert pan.transform == file.transform
        assert not [path for path in folder.iterdir() if path.name.startswith(".part-")]


def test_two_links_to_one_new_file_are_one_output(tmp_path, pair, capsys):
    for name in ("o.tif", "r.json"):
        (tmp_path / name).symlink_to("new")
    call = ["fuse", *pair, str(tmp_path / "o.tif"), "--json", str(tmp_path / "r.json")]

    assert 2 == main([*call, "--method", "exp"])

    assert "--json and the output are one file" in capsys.readouterr().err


def test_report_and_output_are_two_files(tmp_path, pair, capsys):
    out = str(tmp_path / "o.tif")

    assert 2 == main(["fuse", *pair, out, "--method", "exp", "--json", out])

    assert "--json and the output are one file" in capsys.readouterr().err
    assert not (tmp_path / "o.tif").exists()

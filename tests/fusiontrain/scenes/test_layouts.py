"""What lies in a folder, layout by layout, and what find_scenes makes of it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from affine import Affine
from scipy.io import savemat

from fusiontrain import cli
from fusiontrain.errors import SceneError
from fusiontrain.scenes.discovery import find_scenes
from shards.command_line import PlainFlags
from shards.errors import ContractError
from tests.support.geotiffs import GRID, write_geotiff
from tests.support.paths import ROOT


def write(path, *, bands=1, side=64, scale=1, grid=GRID, value=None, top=900):
    """A GeoTIFF of noise, or of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (bands, side, side)
    rng = np.random.default_rng(len(path.name))
    data = rng.integers(1, top, shape) if value is None else np.full(shape, value)
    return write_geotiff(path, data, grid @ Affine.scale(scale), dtype="uint16")


def pan(path):
    return write(path)


def ms(path, bands=4, value=None):
    return write(path, bands=bands, side=16, scale=4, value=value)


def names(entries):
    return [entry.name for entry in entries]


def test_pairs_by_name(tmp_path):
    """With a truth and facts where they are; the rest is passed over."""
    paths = pan(tmp_path / "a_pan.tif"), ms(tmp_path / "a_ms.tif")
    write(tmp_path / "a_gt.tif", bands=4)
    (tmp_path / "a.json").write_text(json.dumps({"sensor": "Landsat 8 OLI", "bit_depth": 12}))
    pan(tmp_path / "GE1_b_PAN.TIF"), ms(tmp_path / "GE1_b_MS.TIFF")
    pan(tmp_path / ".hidden_pan.tif")
    pan(tmp_path / ".trash" / "c_pan.tif")
    write(tmp_path / "overview.tif")
    (tmp_path / "notes_pan.txt").write_text("no scene")
    (tmp_path / "other.json").write_text("{")
    savemat(tmp_path / "other.mat", {"x": 1.0})
    (tmp_path / "other.h5").write_text("no scene")
    (tmp_path / "link").symlink_to(tmp_path)

    entries = find_scenes([tmp_path])
    a, b = (entry.load() for entry in entries)

    assert ["a", "GE1_b"] == names(entries)
    assert (paths[0], paths[1:]) == (entries[0].pan, entries[0].ms)
    assert ("Landsat-8", 12, (4, 64, 64)) == (a.sensor.name, a.bits, tuple(a.gt.shape))
    assert ("GeoEye-1", 11, None) == (b.sensor.name, b.bits, b.gt)
    assert "GeoEye-1 by its name" in b.note


def test_plain_names_take_the_folders(tmp_path):
    """As `fusiontrain export` writes them: pan.tif, ms.tif, gt.tif."""
    pan(tmp_path / "town" / "pan.tif"), ms(tmp_path / "town" / "ms.tif")
    write(tmp_path / "town" / "gt.tif", bands=4)

    (entry,) = find_scenes([tmp_path / "town"])

    assert "town" == entry.name == entry.load().name
    assert entry.load().gt is not None


def test_maxars_open_data(tmp_path):
    """ID-pan.tif and ID-ms.tif in folders of zone, quadkey, date; -visual.tif is ignored."""
    for quadkey in ("031133012", "031133013"):
        folder = tmp_path / "ard" / "33" / quadkey / "2023-01-02"
        pan(folder / "1030010054C9C100-pan.tif"), ms(folder / "1030010054C9C100-ms.tif", bands=8)
        write(folder / "1030010054C9C100-visual.tif", bands=3)

    entries = find_scenes([tmp_path])

    assert [
        "ard-33-031133012-2023-01-02-1030010054C9C100",
        "ard-33-031133013-2023-01-02-1030010054C9C100",
    ] == names(entries)
    assert 8 == entries[1].load().bands
    assert names(entries)[1] == entries[1].load().name


def test_landsat(tmp_path):
    """B8 and B1 to B7, half a PAN pixel apart as the USGS cuts them; other bands are ignored."""
    stem = "LC09_L1TP_001004_20220401_20230423_02_T1"
    grid = Affine(15, 0, 483_592.5, 0, -15, 8_692_507.5)
    half = grid @ Affine.translation(-0.5, -0.5)
    write(tmp_path / f"{stem}_B8.TIF", side=39, grid=grid, top=20_000)
    for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11):
        write(tmp_path / f"{stem}_B{n}.TIF", side=20, scale=2, grid=half, value=100 * n)
    write(tmp_path / f"{stem}_QA_PIXEL.TIF", side=20, scale=2, grid=half)

    (entry,) = find_scenes([tmp_path])
    scene = entry.load()

    assert stem == entry.name
    assert (7, 2, (19, 19), 16) == (scene.bands, scene.ratio, scene.shape, scene.bits)
    assert [100, 200, 300, 400, 500, 600, 700] == scene.ms[:, 5, 5].round().tolist()
    assert "Landsat-9" == scene.sensor.name
    assert "resampled" in scene.note
    assert pytest.approx((0.3,) * 7) == scene.sensor.gains(7)  # no published row
    (tmp_path / f"{stem}_B3.TIF").unlink()
    (tmp_path / f"{stem}_B1.TIF").unlink()
    (entry,) = find_scenes([tmp_path])
    assert [200, 400, 500, 600, 700] == entry.load().ms[:, 5, 5].round().tolist()
    for path in [*tmp_path.glob("*_B[67].TIF")]:
        path.unlink()
    assert ("blue", "red", "nir") == find_scenes([tmp_path])[0].load().sensor.bands
    for path in [*tmp_path.glob("*_B[2-5].TIF")]:
        path.unlink()
    with pytest.raises(SceneError, match=f"{stem} has no MS band; expected B8 and some of B1"):
        find_scenes([tmp_path])


@pytest.mark.parametrize(
    ("pan_name", "ms_names", "name", "sensor", "bands"),
    [
        (
            "po_58205_pan_0000000.tif",
            [f"po_58205_{band}_0000000.tif" for band in ("blu", "grn", "red", "nir")],
            "po_58205_0000000",
            "IKONOS",
            ("blue", "green", "red", "nir"),
        ),
        (
            "WV2_x_PAN.tif",
            [f"WV2_x_{band}.tif" for band in ("blue", "green", "red", "nir")],
            "WV2_x",
            "WorldView-2",
            ("blue", "green", "red", "nir1"),
        ),
        ("x_PAN.tif", [f"x_B{n}.tif" for n in range(1, 12)], "x", "generic", None),
    ],
)
def test_one_file_a_band(tmp_path, pan_name, ms_names, name, sensor, bands):
    """In the order of the sensor's row, not of the names."""
    pan(tmp_path / pan_name)
    for index, ms_name in enumerate(ms_names):
        ms(tmp_path / ms_name, bands=1, value=100 + index)

    (entry,) = find_scenes([tmp_path])
    scene = entry.load()

    assert (name, sensor) == (entry.name, scene.sensor.name)
    assert [*range(100, 100 + len(ms_names))] == scene.ms[:, 0, 0].tolist()
    assert tuple(tmp_path / ms_name for ms_name in ms_names) == entry.ms
    assert bands is None or bands == scene.sensor.bands


@pytest.mark.parametrize("folders", [("MS", "PAN"), ("ms_256", "pan_1024")])
def test_two_folders_of_equal_names(tmp_path, folders):
    """As PanBench has them; the sensor is the folder's name."""
    for stem in ("1", "2", "10"):
        ms(tmp_path / "GF2" / folders[0] / f"{stem}.tif")
        pan(tmp_path / "GF2" / folders[1] / f"{stem}.tif")
    ms(tmp_path / "GF2" / folders[0] / ".3.tif")
    (tmp_path / "GF2" / folders[0] / "readme.txt").write_text("no scene")

    entries = find_scenes([tmp_path])

    assert ["1", "2", "10"] == names(entries)
    assert ("GaoFen-2", 10) == (entries[2].load().sensor.name, entries[2].load().bits)
    assert tmp_path / "GF2" / folders[1] / "10.tif" == entries[2].pan


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("a_pan.tif", 1)], r"a_pan.tif has no partner; expected an MS"),
        ([("a_ms.tif", 4)], r"a_ms.tif has no partner; expected a PAN"),
        ([("a_pan.tif", 1), ("a_B1.tif", 1), ("a_B3.tif", 1)], "has no B2; expected B1 to B3"),
        ([("a_pan.tif", 1), ("a_B1.tif", 1), ("a_red.tif", 1)], "by number and by colour"),
        ([("a_pan.tif", 1), ("a-pan.tif", 1), ("a_ms.tif", 4)], "two files are the pan of a"),
        ([("a_B1.tif", 1), ("a_B2.tif", 1)], "a has b1, b2 but no PAN; expected a PanColl"),
        ([("MS/1.tif", 4), ("PAN/2.tif", 1)], "2 files of .* have no partner of the same name"),
        ([("overview.tif", 3)], "has no scene; expected a PanCollection .h5"),
        ([], "has no scene; expected"),
    ],
)
def test_each_incomplete_folder_has_one_clear_line(tmp_path, files, words):
    """What is missing, or what is accepted."""
    for name, bands in files:
        write(tmp_path / name, bands=bands)

    with pytest.raises(SceneError, match=words) as caught:
        find_scenes([tmp_path])
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_scenes(tmp_path):
    """One line names what is accepted."""
    (tmp_path / "x.csv").write_text("1")

    for path, words in (
        (tmp_path / "x.csv", r"x.csv is no file of scenes; expected a PanCollection"),
        (pan(tmp_path / "x_pan.tif"), r"x_pan.tif is no file of scenes"),
        (tmp_path / "absent", r"absent does not exist"),
    ):
        with pytest.raises(SceneError, match=words):
            find_scenes([path])
    with pytest.raises(ContractError, match="no sensor 'Sputnik'"):
        find_scenes([tmp_path], sensor="Sputnik")


def test_names_are_apart(tmp_path):
    """The folder's name tells; given twice, a number."""
    for town in ("rome", "oslo"):
        pan(tmp_path / town / "1_pan.tif"), ms(tmp_path / town / "1_ms.tif")

    entries = find_scenes([tmp_path / "rome", tmp_path / "oslo", tmp_path / "oslo"])

    assert ["rome-1", "oslo-1", "oslo-1-2"] == names(entries)
    assert "oslo-1-2" == entries[2].load().name


def test_a_sensor_of_ones_own(tmp_path):
    """From TOML, wherever --sensor is; it overrules the sidecar."""
    pan(tmp_path / "a_pan.tif"), ms(tmp_path / "a_ms.tif")
    (tmp_path / "a.json").write_text('{"sensor": "IKONOS"}')
    (tmp_path / "my.toml").write_text(
        'name = "Mine"\nbands = ["b", "g", "r", "n"]\nratio = 4\nbits = 13\nmtf_ms = 0.2\n'
        'mtf_pan = 0.1\nsource = "me"\n'
    )

    scene = find_scenes([tmp_path], sensor=str(tmp_path / "my.toml"))[0].load()

    assert ("Mine", 13, (0.2,) * 4) == (scene.sensor.name, scene.bits, scene.sensor.gains(4))


def test_a_file_never_names_a_file(tmp_path):
    """A sidecar's sensor is looked up, not opened."""
    pan(tmp_path / "a_pan.tif"), ms(tmp_path / "a_ms.tif")
    (tmp_path / "a.json").write_text('{"sensor": "/etc/passwd.toml"}')

    assert "generic" == find_scenes([tmp_path])[0].load().sensor.name


NO_ROW = ("Landsat 7",)  # sensors for which no figures are sourced yet


def test_the_real_scenes(shared):
    """Each with the bands, ratio and bit depth noted when it was gathered."""
    folder = shared("data/real")
    facts = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}

    entries = find_scenes([folder])

    assert facts.keys() == set(names(entries))
    for entry in entries:
        scene, known = entry.load(), facts[entry.name]
        assert (known["ratio"], known["bit_depth"]) == (scene.ratio, scene.bits)
        assert known["ms_shape"] == list(scene.ms.shape)
        assert known["pan_shape"] == list(scene.pan.shape[1:])
        assert known["ms_range"] == [int(scene.ms.min()), int(scene.ms.max())]
        assert (known["kind"] == "reduced_resolution") == (scene.gt is not None)
        assert len(known["bands"]) == len(scene.sensor.gains(scene.bands)) == scene.bands
        without_row = known["sensor"].startswith(("unknown", *NO_ROW))
        assert without_row == (scene.sensor.name == "generic")


def test_folders_need_no_extra(tmp_path):
    """GeoTIFFs are read where neither h5py nor scipy is."""
    pan(tmp_path / "a_pan.tif"), ms(tmp_path / "a_ms.tif")
    code = (
        "import sys; sys.modules.update(h5py=None, scipy=None)\n"
        "from pathlib import Path; from fusiontrain.scenes.discovery import find_scenes\n"
        "print(find_scenes([Path(sys.argv[1])])[0].load().bands)"
    )

    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )

    assert "4" == out.stdout.strip(), out.stderr


@pytest.mark.parametrize(
    ("package", "extra"), [("h5py", "formats"), ("scipy.io", "formats"), ("accelerate", "train")]
)
def test_a_missing_package_is_answered_with_its_extra(capsys, monkeypatch, package, extra):
    """Also when it is only missed while a command runs."""

    class Missing:
        @staticmethod
        def make_parser():
            return PlainFlags(prog="fusiontrain fuse")

        @staticmethod
        def run(args):
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(cli.importlib, "import_module", lambda name: Missing)

    assert 2 == cli.main(["fuse"])
    said = capsys.readouterr().err
    assert f"needs the package {package.partition('.')[0]}, which is not installed" in said
    assert f"pip install 'panprior[{extra}]'" in said
    text = (ROOT / "pyproject.toml").read_text()
    listed = next(line for line in text.splitlines() if line.startswith(f"{extra} = "))
    assert package.partition(".")[0] in listed

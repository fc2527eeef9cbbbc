"""MATLAB files of both kinds, v5 as MATLAB and scipy write them, and v7.3, which is HDF5."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from fusiontrain.errors import SceneError
from fusiontrain.scenes.discovery import find_scenes


def toolbox(side=16, bands=4, top=2047, **more):
    """As MATLAB sees them: H x W x C."""
    rng = np.random.default_rng(0)
    return {
        "I_MS_LR": rng.integers(1, top, (side, side + 1, bands)).astype("f8"),
        "I_MS": rng.integers(1, top, (4 * side, 4 * side + 4, bands)).astype("f8"),
        "I_PAN": rng.integers(1, top, (4 * side, 4 * side + 4)).astype("f8"),
        "I_GT": rng.integers(1, top, (4 * side, 4 * side + 4, bands)).astype("f8"),
    } | more


def write_v5(path, data):
    savemat(path, data, do_compression=True)
    return path


def write_v73(path, data):
    """HDF5 behind MATLAB's 512 bytes; axes reversed, class as an attribute, char as uint16."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in data.items():
            if isinstance(value, str):
                file[key] = np.array([[ord(c)] for c in value], "u2")
                file[key].attrs["MATLAB_class"] = np.bytes_("char")
            else:
                file[key] = np.atleast_2d(value).T
                file[key].attrs["MATLAB_class"] = np.bytes_(
                    {"f8": "double", "u2": "uint16"}[np.atleast_2d(value).dtype.str[1:]]
                )
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(head)
    return path


both = pytest.mark.parametrize("write", [write_v5, write_v73])


@both
def test_the_toolboxs_scene_reads_back_exactly(tmp_path, write):
    """With what it says of itself; I_MS is not used."""
    data = toolbox(sensor="WV4", ratio=4.0, L=11.0)
    path = write(tmp_path / "scene.mat", data)

    (entry,) = find_scenes([path])
    scene = entry.load()

    np.testing.assert_array_equal(data["I_MS_LR"].transpose(2, 0, 1), scene.ms)
    np.testing.assert_array_equal(data["I_PAN"][None], scene.pan)
    np.testing.assert_array_equal(data["I_GT"].transpose(2, 0, 1), scene.gt)
    assert ("WorldView-4", 11, "toolbox") == (scene.sensor.name, scene.bits, scene.phase)
    assert ((16, 17), 4) == (scene.shape, scene.ratio)


@both
def test_what_it_does_not_say_is_assumed(tmp_path, write):
    """No sensor, no L, no truth; integers."""
    data = {k: v.astype("u2") for k, v in toolbox(top=900).items() if k != "I_GT"}
    scene = find_scenes([write(tmp_path / "scene.mat", data)])[0].load()
    named = find_scenes([write(tmp_path / "GE1_7.mat", data)])[0].load()
    given = find_scenes([tmp_path / "scene.mat"], sensor="WV2")[0].load()

    assert scene.gt is None
    assert ("generic", 10, "10 bits") == (scene.sensor.name, scene.bits, scene.note[:7])
    assert ("GeoEye-1", 11) == (named.sensor.name, named.bits)
    assert "WorldView-2" == given.sensor.name


def test_the_toolboxs_none_is_generic(tmp_path):
    """Its word for a sensor without gains; L says the bits."""
    path = write_v5(tmp_path / "scene.mat", toolbox(sensor="none", L=12.0))

    scene = find_scenes([path])[0].load()

    assert ("generic", 12) == (scene.sensor.name, scene.bits)


@both
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ratio": 2.0}, "says ratio 2; its arrays have 4"),
        ({"ratio": np.ones((2, 2))}, "ratio must be one whole number"),
        ({"L": 11.5}, "L must be one whole number, 1 to 16; got 11.5"),
        ({"L": 8.0}, "expected 8 bits, 0 to 255"),
        ({"I_PAN": "text"}, "I_PAN is of class char; expected an array of numbers"),
        ({"I_PAN": np.ones((64, 68, 3))}, "PAN must have one band"),
        ({"I_MS_LR": np.ones((4, 64, 68))}, r"I_MS_LR must be H x W x C; got \(4, 64, 68\)"),
        ({"I_GT": np.ones((64, 68, 3))}, "gt must be"),
        ({"I_MS_LR": np.full((16, 17, 4), np.inf)}, "NaN or infinite"),
    ],
)
def test_each_bad_file_has_one_clear_line(tmp_path, write, changes, words):
    """What was expected, what came."""
    path = write(tmp_path / "scene.mat", toolbox() | changes)

    with pytest.raises(SceneError, match=words) as caught:
        find_scenes([path])[0].load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.array([1, "a"], dtype=object), "cell"),
        ({"field": 1.0}, "struct"),
        (np.array([[True]]), "logical"),
    ],
)
def test_nothing_but_numbers_is_read(tmp_path, value, kind):
    """No cells, structs or objects, under whatever name."""
    path = write_v5(tmp_path / "scene.mat", toolbox() | {"I_PAN": value})

    with pytest.raises(SceneError, match=f"I_PAN is of class {kind}"):
        find_scenes([path])[0].load()
    other = write_v5(tmp_path / "other.mat", toolbox() | {"Qblocks": value})
    assert 4 == find_scenes([other])[0].load().bands


def test_files_that_are_none(tmp_path):
    """Text, broken ones of both versions, one of something else."""
    (tmp_path / "text.mat").write_text("hello " * 100)
    for write in (write_v5, write_v73):
        whole = write(tmp_path / "whole.mat", toolbox()).read_bytes()
        (tmp_path / f"{write.__name__}.mat").write_bytes(whole[: len(whole) // 2])
    write_v5(tmp_path / "other.mat", {"x": np.ones(3)})

    for name, words in (
        ("text", "cannot read .* as a MATLAB file"),
        ("write_v5", "broke off|cannot read"),
        ("write_v73", "cannot read"),
        ("other", "has no I_MS_LR; .* it has x"),
    ):
        with pytest.raises(SceneError, match=words):
            find_scenes([tmp_path / f"{name}.mat"])[0].load()


def test_a_promise_too_large_is_refused_before_it_is_read(tmp_path):
    """Zeros of v7.3 that were never written."""
    path = write_v73(tmp_path / "scene.mat", {})
    with h5py.File(path, "a") as file:
        for key, shape in (("I_MS_LR", (4, 2**12, 2**12)), ("I_PAN", (2**14, 2**14))):
            file.create_dataset(key, shape, "f8", chunks=(4, 64, 64)[-len(shape) :])
            file[key].attrs["MATLAB_class"] = np.bytes_("double")

    with pytest.raises(SceneError, match=r"335544320 samples in all"):
        find_scenes([path])[0].load()


def nbu(root, names=("1", "2", "10"), ms_key="imgMS", pan_key="imgPAN", bands=4):
    """MS_256 and PAN_1024, smaller; the data of each name."""
    rng = np.random.default_rng(0)
    data = {}
    for folder in ("MS_256", "PAN_1024"):
        (root / folder).mkdir(parents=True)
    for name in names:
        ms = rng.integers(1, 1023, (16, 16, bands)).astype("u2")
        pan = rng.integers(1, 1023, (64, 64)).astype("u2")
        savemat(root / "MS_256" / f"{name}.mat", {ms_key: ms})
        savemat(root / "PAN_1024" / f"{name}.mat", {pan_key: pan})
        data[name] = ms, pan
    return data


@pytest.mark.parametrize(
    ("folder", "ms_key", "pan_key", "sensor", "bits"),
    [
        ("1 IKONOS", "imgMS", "imgPAN", "IKONOS", 11),
        ("3 Gaofen-1", "I_MS", "I_PAN", "GaoFen-1", 10),
        ("4 WorldView-4", "imgMS", "block", "WorldView-4", 11),
    ],
)
def test_nbus_pairs(tmp_path, folder, ms_key, pan_key, sensor, bits):
    """At full resolution, aligned; 2047 for all but Gaofen (1023), as its users divide."""
    data = nbu(tmp_path / folder, ms_key=ms_key, pan_key=pan_key)

    entries = find_scenes([tmp_path])
    scene = entries[1].load()

    assert ["1", "2", "10"] == [entry.name for entry in entries]
    np.testing.assert_array_equal(data["2"][0].transpose(2, 0, 1), scene.ms)
    np.testing.assert_array_equal(data["2"][1][None], scene.pan)
    assert ("aligned", sensor, bits) == (scene.phase, scene.sensor.name, scene.bits)
    assert scene.gt is None


def test_nbus_pairs_that_are_not_whole(tmp_path):
    """A partner or a variable is missing."""
    nbu(tmp_path, pan_key="picture")

    with pytest.raises(SceneError, match=r"1.mat has none of imgPAN, I_PAN, block; it has picture"):
        find_scenes([tmp_path])[0].load()
    (tmp_path / "PAN_1024" / "2.mat").unlink()
    with pytest.raises(SceneError, match=r"1 files of .* no partner .*MS_256.2.mat"):
        find_scenes([tmp_path])


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (5, 0x8D, "numbers of type"),  # 9, double, becomes no type at all: scipy would crash
        (10, 0x7D, "bytes where its shape needs"),
        (-20, 0x02, "bytes where its shape needs"),
    ],
)
def test_damaged_tags_are_noticed_before_scipy_trusts_them(tmp_path, offset, value, words):
    """Counted from the name I_GT: type and length of its numbers; before it, its dimensions."""
    path = tmp_path / "scene.mat"
    savemat(path, toolbox())
    data = bytearray(path.read_bytes())
    data[data.index(b"I_GT") + offset] = value
    path.write_bytes(data)

    with pytest.raises(SceneError, match=words):
        find_scenes([path])[0].load()


def test_complex_numbers_are_refused(tmp_path):
    """DN are real."""
    path = write_v5(tmp_path / "scene.mat", toolbox() | {"I_PAN": np.full((64, 68), 1 + 2j)})

    with pytest.raises(SceneError, match="I_PAN is damaged or no real array: it is complex"):
        find_scenes([path])[0].load()

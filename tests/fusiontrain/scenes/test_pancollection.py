"""PanCollection's files, in the layout of the true ones."""

import h5py
import numpy as np
import pytest

from fusiontrain.errors import SceneError
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.scenes.pancollection import count_samples, is_pancollection, read_sample
from shards.sensors import find_sensor


def arrays(examples=3, bands=8, side=16, top=2047, gt=True):
    """As python sees them: N x C x H x W, double, raw DN."""
    rng = np.random.default_rng(0)
    shapes = {"ms": (bands, side, side), "lms": (bands, 4 * side, 4 * side)}
    shapes |= {"pan": (1, 4 * side, 4 * side)} | ({"gt": shapes["lms"]} if gt else {})
    return {
        key: rng.integers(1, top, (examples, *shape)).astype("f8") for key, shape in shapes.items()
    }


def write(path, data):
    with h5py.File(path, "w") as file:
        for key, value in data.items():
            file[key] = value
    return path


@pytest.mark.parametrize(
    ("name", "bands", "top", "sensor", "bits"),
    [
        ("test_wv3_multiExm1.h5", 8, 2047, "WorldView-3", 11),
        ("train_qb.h5", 4, 2047, "QuickBird", 11),
        ("test_gf2_OrigScale_multiExm1.h5", 4, 1023, "GaoFen-2", 10),
        ("valid_wv2.h5", 8, 2047, "WorldView-2", 11),
    ],
)
def test_examples_read_back_exactly(tmp_path, name, bands, top, sensor, bits):
    """One scene an example; full scales as the collection divides by (1023 for GF2, else 2047)."""
    full = "OrigScale" in name
    data = arrays(bands=bands, top=top, gt=not full)
    path = write(tmp_path / name, data)

    entries = find_scenes([path])
    scene = entries[2].load()

    assert 3 == len(entries) == count_samples(path)
    assert entries[2].name == scene.name == f"{path.stem}-2"
    np.testing.assert_array_equal(data["ms"][2], scene.ms)
    np.testing.assert_array_equal(data["pan"][2], scene.pan)
    if full:
        assert scene.gt is None
    else:
        np.testing.assert_array_equal(data["gt"][2], scene.gt)
    assert (sensor, bits, "toolbox", 4) == (
        scene.sensor.name,
        scene.bits,
        scene.phase,
        scene.ratio,
    )


def test_a_given_sensor_overrules_the_name(tmp_path):
    """A name that says nothing gives the generic row, and bits that hold the data."""
    path = write(tmp_path / "mine.h5", arrays(bands=4, top=1000))

    plain = find_scenes([path])[0].load()
    given = find_scenes([path], sensor="IKONOS")[0].load()

    assert ("generic", 10) == (plain.sensor.name, plain.bits)
    assert "10 bits assumed" in plain.note
    assert ("IKONOS", 11, "") == (given.sensor.name, given.bits, given.note)


def test_bicubic_overshoot_is_no_error(tmp_path):
    """The collection's PAN is reduced by bicubic, which leaves the range at edges."""
    data = arrays(bands=4)
    data["pan"][0, 0, 5, 5:7] = -30.5, 2200.25

    scene = read_sample(write(tmp_path / "qb.h5", data), 0, name="x")

    assert (11, 2200.25) == (scene.bits, float(scene.pan.max()))


def changed(**changes):
    data = arrays(bands=4)
    for key, change in changes.items():
        data[key] = change(data[key])
    return data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {key: value.transpose(0, 2, 3, 1) for key, value in arrays(bands=4).items()},
            r"axes are N x H x W x C; expected N x C x H x W; .*transpose\(0, 3, 1, 2\)",
        ),
        (changed(gt=lambda gt: gt / 2047), "gt was divided by its range"),
        (
            {key: value / 2047 for key, value in arrays(bands=4).items()},
            "they were divided by their range; expected DN",
        ),
        (changed(pan=lambda pan: 2 * pan), r"run from .* to 40.*; expected 11 bits, 0 to 2047"),
        (changed(ms=lambda ms: ms - 1500), "values run from -1.*; expected 11 bits"),
        (changed(ms=lambda ms: ms * np.nan), "ms has NaN or infinite values"),
        (changed(ms=lambda ms: ms[:2]), "as many samples in ms as in pan"),
        (changed(gt=lambda gt: gt[:, :3]), r"gt must be \(3, 4, 64, 64\), as ms"),
        (changed(lms=lambda lms: lms[..., :60]), "lms must be"),
        (changed(pan=lambda pan: pan[0]), "expected N x C x H x W; got"),
        (changed(pan=lambda pan: pan.repeat(2, 1)), "pan must be N x 1 x H x W"),
        (
            changed(
                pan=lambda pan: pan[..., :62, :62],
                gt=lambda g: g[..., :62, :62],
                lms=lambda g: g[..., :62, :62],
            ),
            "whole number of pixels",
        ),
        (changed(ms=lambda ms: ms.astype("S4")), "ms is not numeric"),
        ({"ms": arrays()["ms"], "x": np.ones(3)}, "has no pan; expected ms, pan .* it has ms, x"),
        ({}, "has no ms; .* it has nothing"),
    ],
)
def test_each_bad_file_has_one_clear_line(tmp_path, data, words):
    """What was expected, what came, what to do."""
    path = write(tmp_path / "train_qb.h5", data)

    with pytest.raises(SceneError, match=words) as caught:
        find_scenes([path])[0].load()
    assert "\n" not in str(caught.value)


def test_files_that_are_no_hdf5(tmp_path):
    """Text, a broken one, none at all."""
    (tmp_path / "text.h5").write_text("hello")
    whole = write(tmp_path / "train_qb.h5", arrays()).read_bytes()
    (tmp_path / "broken.h5").write_bytes(whole[: len(whole) // 2])

    for name, words in (
        ("text.h5", "as HDF5"),
        ("broken.h5", "as HDF5"),
        ("absent.h5", "does not exist"),
    ):
        with pytest.raises(SceneError, match=words):
            find_scenes([tmp_path / name])
    assert not is_pancollection(tmp_path / "text.h5")


def test_no_array_of_another_file_is_followed(tmp_path):
    """Links, virtual and external storage could read any file of the disk."""
    data = arrays(bands=4)
    other = write(tmp_path / "other.h5", data)
    raw = tmp_path / "raw.bin"
    raw.write_bytes(data["ms"].tobytes())
    path = tmp_path / "train_qb.h5"

    def link(file):
        file["ms"] = h5py.ExternalLink(str(other), "ms")

    def virtual(file):
        layout = h5py.VirtualLayout(data["ms"].shape, "f8")
        layout[:] = h5py.VirtualSource(str(other), "ms", data["ms"].shape)
        file.create_virtual_dataset("ms", layout)

    def external(file):
        file.create_dataset("ms", data["ms"].shape, "f8", external=[(str(raw), 0, 10**6)])

    for make in (link, virtual, external):
        write(path, {"pan": data["pan"], "gt": data["gt"]})
        with h5py.File(path, "a") as file:
            make(file)
        with pytest.raises(SceneError, match=r"ms (is a link to|lies in another file)"):
            find_scenes([path])


def test_a_promise_too_large_is_refused_before_it_is_read(tmp_path):
    """Chunked data that was never written takes no room on the disk."""
    path = tmp_path / "test_qb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("ms", (2, 4, 2**12, 2**12), "f8", chunks=(1, 1, 64, 64))
        file.create_dataset("pan", (2, 1, 2**14, 2**14), "f8", chunks=(1, 1, 64, 64))

    with pytest.raises(SceneError, match=r"335544320 samples in all; .* 67108864"):
        find_scenes([path])[0].load()


def test_only_the_examples_asked_for_are_read(tmp_path):
    """A bad one does not spoil its neighbours."""
    data = arrays(bands=4)
    data["ms"][1] = np.nan
    path = write(tmp_path / "train_qb.h5", data)

    first, second, third = find_scenes([path])

    assert first.load().bands == third.load().bands == 4
    with pytest.raises(SceneError, match=r"train_qb-1: ms has NaN"):
        second.load()
    assert find_sensor("QB") == first.load().sensor


def test_damage_is_one_clear_line(tmp_path):
    """Whatever byte of the header is hit, it is a scene or a SceneError."""
    whole = write(tmp_path / "train_qb.h5", arrays(examples=1, bands=4, side=8)).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(2500)] = rng.integers(256)
        (tmp_path / "train_qb.h5").write_bytes(damaged)
        try:
            find_scenes([tmp_path / "train_qb.h5"])[0].load()
        except SceneError:
            refused += 1

    assert refused > 10

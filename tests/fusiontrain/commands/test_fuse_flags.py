"""Flags of `fuse` that change the sensor model: registration, sensor, threads, weights."""

import json

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine
from safetensors.torch import save_file

from fusiontrain.api import pansharpen
from fusiontrain.cli import main
from shards.sensors import find_sensor
from tests.support.geotiffs import write_pair

GRID = Affine(0.5, 0, 400_000, 0, -0.5, 4_800_000)
SIDE = 384  # PAN pixels


def ground(rows=0.0, columns=0.0):
    """(SIDE, SIDE) of a natural spectrum, seen so many PAN pixels further up and left: exact."""
    noise = np.random.default_rng(5).uniform(0, 1, (SIDE, SIDE))
    fy, fx = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)
    size = np.hypot(fy, fx)
    spectrum = np.fft.rfft2(noise) / np.maximum(size, 1e-2) ** 1.5
    spectrum[0, 0] = 0
    spectrum *= 200 / np.fft.irfft2(spectrum).std()
    spectrum *= np.exp(2j * np.pi * (fy * rows + fx * columns))

    def through(sigma):
        return np.fft.irfft2(spectrum * np.exp(-2 * (np.pi * sigma * size) ** 2)) + 1500

    return through


def pair(folder, rows=0.0, columns=0.0):
    """PAN, and an MS whose pixels lie on PAN at i + (rows, columns); the truth of its bands."""
    gains = np.array([0.6, 1.0, 1.2, 0.9])[:, None, None]
    seen = ground(rows, columns)
    low = seen(2.0).reshape(SIDE // 4, 4, SIDE // 4, 4).mean((1, 3))
    pan, ms = write_pair(folder, ground()(0.4)[None], low * gains)
    return pan, ms, seen(0.4) * gains


def fuse(pan, ms, out, *flags, method="glp-fs-soft"):
    report = out.with_suffix(".json")
    how = [] if method is None else ["--method", method]
    code = main(["fuse", pan, ms, str(out), "--json", str(report), *how, *map(str, flags)])
    if code:
        return code, None, None, None
    with rasterio.open(out) as file:
        return code, json.loads(report.read_text()), file.read().astype(float), file.tags()


def test_pan_is_registered_by_default(tmp_path, capsys):
    """Known to a twentieth of a PAN pixel; said, tagged, reported; nearer to the truth for it."""
    pan, ms, truth = pair(tmp_path, 1.2, -0.8)
    _, on, with_it, tags = fuse(pan, ms, tmp_path / "on.tif", "--frame", "ms")
    said = capsys.readouterr().out
    _, off, without, bare = fuse(pan, ms, tmp_path / "off.tif", "--register", "off")

    assert on["alignment"]["pan_shift"] == pytest.approx([-1.2, 0.8], abs=0.05)
    assert "auto" == on["alignment"]["register"]
    rows, columns = on["alignment"]["pan_shift"]
    line = f"{rows:+.2f} rows, {columns:+.2f} columns of PAN pixels"
    assert line in said
    assert line in tags["PANPRIOR_REGISTRATION"]
    assert (off["alignment"]["register"], off["alignment"]["pan_shift"]) == ("off", [0, 0])
    assert "register=off" in bare["PANPRIOR_REGISTRATION"]
    assert "both used as they lie" in capsys.readouterr().out
    inner = np.s_[:, 32:-32, 32:-32]
    errors = [np.sqrt(((x - truth)[inner] ** 2).mean()) for x in (with_it, without)]
    assert errors[0] < 0.8 * errors[1]


def test_python_registers_as_the_command_does(tmp_path):
    pan, ms, _ = pair(tmp_path, 1.2, -0.8)
    for flag, register in (("auto", True), ("off", False)):
        _, _, expected, _ = fuse(pan, ms, tmp_path / "f.tif", "--register", flag)
        found = pansharpen(pan, ms, method="glp-fs-soft", register=register)
        np.testing.assert_array_equal(expected, found)


def test_match_moves_ms_and_registration_what_is_left(tmp_path):
    """Together they are the whole shift, more exactly than the first alone need be."""
    pan, ms, _ = pair(tmp_path, -9.3, 6.7)

    _, found, _, tags = fuse(pan, ms, tmp_path / "f.tif", "--match")

    match, left = found["alignment"]["match"], found["alignment"]["pan_shift"]
    assert max(map(abs, left)) < 1
    # `match` is what the MS was moved by; the rest is where it lies now.
    lay = [left[0] - 4 * match["rows"], left[1] - 4 * match["columns"]]
    assert [9.3, -6.7] == pytest.approx(lay, abs=0.1)
    assert "MS moved by" in tags["PANPRIOR_ALIGNMENT"]


def test_a_sensor_of_the_tags_keeps_the_measured_mtf(tmp_path, capsys):
    """--sensor auto says so; only a sensor that is asked for brings its published MTF."""
    pan, ms, _ = pair(tmp_path)
    _, unknown, _, _ = fuse(pan, ms, tmp_path / "unknown.tif")
    with rasterio.open(ms, "r+") as file:
        file.update_tags(SATELLITE="IKONOS")
    capsys.readouterr()
    _, seen, _, _ = fuse(pan, ms, tmp_path / "seen.tif")
    said = capsys.readouterr().out
    _, asked, _, _ = fuse(pan, ms, tmp_path / "asked.tif", "--sensor", "IKONOS")

    assert ("IKONOS", "IKONOS") == (seen["sensor_model"]["sensor"], asked["sensor_model"]["sensor"])
    assert unknown["sensor_model"]["mtf"] == seen["sensor_model"]["mtf"]
    assert seen["sensor_model"] == seen["knowledge"]  # the key's old name, for one version
    assert list(find_sensor("IKONOS").mtf_ms) == pytest.approx(asked["sensor_model"]["mtf"])
    assert "Sensor IKONOS (tag SATELLITE)" in said
    assert "Measured on this pair: MTF of the MS 0." in said
    assert "published MTF, as asked" in capsys.readouterr().out


@pytest.fixture
def own_threads():
    """What the test sets is the process's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("own_threads")
def test_threads_change_no_pixel(tmp_path):
    pan, ms, _ = pair(tmp_path)
    found = []
    for count in (1, 2, "ALL_CPUS"):
        found.append(fuse(pan, ms, tmp_path / f"{count}.tif", "--threads", count)[2])
        if isinstance(count, int):
            assert count == torch.get_num_threads()

    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "many", "100000", ""])
def test_impossible_threads_are_refused(tmp_path, capsys, count):
    assert 2 == main(["fuse", "p.tif", "m.tif", f"{tmp_path}/f.tif", "--method", "gsa",
                      f"--threads={count}"])  # fmt: skip
    assert "--threads is a number from 1, or ALL_CPUS" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def pickled(path):
    torch.save({"weights": torch.zeros(3)}, path)


def old_pickle(path):
    torch.save({"weights": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


def later(path):
    given = {"format": "panprior-checkpoint", "version": "9", "model": "anyband"}
    save_file({"a": torch.zeros(1)}, path, given | {"sizes": "{}", "training": "{}"})


def cut(path):
    later(path)
    path.write_bytes(path.read_bytes()[:-2])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (pickled, "is a pickle"),
        (old_pickle, "is a pickle"),
        (later, "checkpoint version 9; expected 1"),
        (cut, "is damaged"),
    ],
)
def test_weights_that_cannot_be_trusted_are_refused(tmp_path, capsys, make, words):
    """One line, code 2, nothing written; whatever they are called."""
    pan, ms, _ = pair(tmp_path)
    weights = tmp_path / "w.safetensors"
    make(weights)
    before = {path.name for path in tmp_path.iterdir()}

    code, *_ = fuse(pan, ms, tmp_path / "f.tif", "--weights", weights, method=None)

    assert 2 == code
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
    assert before == {path.name for path in tmp_path.iterdir()}

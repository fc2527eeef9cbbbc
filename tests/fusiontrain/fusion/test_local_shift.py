"""Shifts that vary over a scene are found where they are, and nowhere else."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import rasterio
import torch

from fusiontrain.api import pansharpen
from fusiontrain.cli import main
from fusiontrain.fusion.moved_scene import MovedScene
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.sensor_model import estimate_pair, estimate_sensor_model
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.imaging.shift_field import ShiftField, Step, resample
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.scenes.scene import Scene
from tests.support.geotiffs import write_pair
from tests.support.warped_pairs import SIDE, warped_pair


def drift(y, x):
    return 1.5 * y / SIDE - 0.6, 0.5 - 1.2 * x / SIDE + 0.5 * y / SIDE


def bend(y, x):
    u, v = y / SIDE * 2 - 1, x / SIDE * 2 - 1
    return 0.9 * u**2 - 0.5 * u * v, 0.3 + 0.8 * v**2


def dropped_line(y, x, row=77, column=128):
    """A row of the MS is missing, and a column of the PAN."""
    return 0.2 + 4.0 * (y >= row), -0.4 + 1.0 * (x >= column) + 0 * y


@pytest.mark.parametrize("field", [drift, bend, dropped_line])
@pytest.mark.parametrize("seed", [0, 10])
def test_a_known_field_is_found(field, seed):
    """To a tenth of a PAN pixel between the outermost blocks; a jump at its line."""
    found = estimate_pair(warped_pair(field, seed=seed), local_shift=True).local_shift

    assert found is not None
    own = np.arange(16, SIDE - 16)
    expected = np.stack(np.broadcast_arrays(*field(own[:, None], own[None])))
    error = found.field.at(torch.tensor(own), torch.tensor(own)).numpy() - expected
    assert np.abs(error).max() < 0.1
    assert found.after < 0.5 * found.before
    if field is dropped_line:
        assert {(0, 77.0), (1, 128.0)} == {(step.axis, step.at) for step in found.field.steps}


@pytest.mark.parametrize("seed", range(4))
def test_one_shift_stays_one_shift(seed):
    scene = warped_pair(lambda y, x: (0 * y + 1.3, 0 * x - 0.7), seed=seed)

    found = estimate_pair(scene, local_shift=True)

    assert found.local_shift is None
    assert (1.3, -0.7) == pytest.approx(found.shift, abs=0.05)


def test_noise_and_flat_ground_have_no_field():
    noise = torch.Generator().manual_seed(0)
    images = [torch.randn(c, s, s, generator=noise) for c, s in ((4, 192), (1, 768))]
    for strength in (0.0, 20.0):
        ms, pan = (500 + strength * image for image in images)
        pair = estimate_pair(Scene(name="noise", ms=ms, pan=pan), local_shift=True)
        assert pair.local_shift is None


def test_a_field_beside_missing_pixels():
    """Blocks with a missing pixel do not count; garbage under the mask changes nothing."""
    scene = warped_pair(drift)
    valid = torch.ones(scene.pan.shape[1:], dtype=torch.bool)
    valid[:200, :300] = False
    ms = scene.ms.clone()
    ms[:, :50, :75] = 65000
    masked = Scene(name="masked", ms=ms, pan=scene.pan, valid=valid)

    found = estimate_pair(masked, local_shift=True).local_shift

    assert found is not None
    expected = drift(np.array(150.0), np.array(20.0))
    at = found.field.at(torch.tensor([150]), torch.tensor([20]))[:, 0, 0]
    assert expected == pytest.approx(at.tolist(), abs=0.1)


FIELD = ShiftField(
    shape=(32, 32),
    degree=1,
    coefficients=torch.tensor([[0.3, -0.2], [0.5, 0.7], [-1.0, 0.4]]),
    steps=(Step(axis=0, at=13, change=(2.0, -1.0)),),
    within=((-9.0, 50.0), (-9.0, 50.0)),
)


@pytest.mark.parametrize("moved", ["ms_field", "pan_field"])
def test_windows_are_the_whole_of_it(moved):
    scene = warped_pair(drift, side=32)
    shifts = ((0.0, 0.0), (0.3, -0.2), (0.0, 0.0), (0.0, 1.0))
    own = MovedScene(scene=scene, shifts=shifts, **{moved: FIELD})
    whole = own.read(Box(top=0, left=0, bottom=32, right=32))

    part = own.read(Box(top=9, left=12, bottom=20, right=27))

    torch.testing.assert_close(whole.ms[:, 9:20, 12:27], part.ms)
    torch.testing.assert_close(whole.pan[:, 36:80, 48:108], part.pan)


def test_resampling_by_one_offset_is_a_shift():
    image = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(1))
    for shift in ((0.0, 0.0), (1.25, -0.5), (-3.0, 2.0)):
        offsets = torch.tensor(shift)[:, None, None].expand(2, 40, 50)
        torch.testing.assert_close(
            shift_image(image, shift), resample(image, offsets), atol=2e-3, rtol=0
        )


@pytest.mark.parametrize("frame", ["pan", "ms"])
def test_the_pair_agrees_once_it_is_moved(frame):
    """What is left between the moved images is under a tenth of a pixel, in every quarter."""
    scene = warped_pair(bend)
    model = estimate_sensor_model(scene, sensor=None, softness=0.5, local_shift=True)

    moved, rest = in_output_frame(scene, replace(model, frame=frame))

    assert (0.0, 0.0) == rest.shift
    for top in (16, 96):
        for left in (16, 96):
            window = moved.read(Box(top=top, left=left, bottom=top + 80, right=left + 80))
            quarter = Scene(name="quarter", ms=window.ms, pan=window.pan)
            assert max(map(abs, estimate_pair(quarter).shift)) < 0.1


def test_it_is_said_tagged_and_reported(tmp_path, capsys):
    scene = warped_pair(partial(dropped_line, row=50, column=64), side=112)
    paths = write_pair(tmp_path, scene.pan.numpy(), scene.ms.numpy(), dtype="float32")
    results = {}
    for how in ("auto", "off"):
        out, report = tmp_path / f"{how}.tif", tmp_path / f"{how}.json"
        flags = ["--method", "gsa", "--local-shift", how, "--json", str(report)]
        assert 0 == main(["fuse", *paths, str(out), *flags])
        said = capsys.readouterr().out
        with rasterio.open(out) as file:
            results[how] = said, file.tags(), json.loads(report.read_text()), file.read()

    said, tags, report, _ = results["auto"]
    for text in (said, tags["PANPRIOR_REGISTRATION"]):
        assert "varies over the scene, -4.2" in text
        assert "jump at MS row 50, column 64" in text
    assert "place by place" in tags["PANPRIOR_KNOWLEDGE"]
    local = report["alignment"]["local_shift"]
    assert [-4.2, -0.2] == pytest.approx(local["rows"], abs=0.1)
    assert [-0.6, 0.4] == pytest.approx(local["columns"], abs=0.1)
    assert local["held_out_after"] < local["held_out_before"]
    assert results["off"][2]["alignment"]["local_shift"] is None
    assert "varies" not in results["off"][0]
    for how, local_shift in (("auto", True), ("off", False)):
        found = pansharpen(*paths, method="gsa", local_shift=local_shift)
        np.testing.assert_array_equal(results[how][3], found)


def test_real_pairs_that_vary_and_that_do_not(shared):
    """The MS of one pair lacks a row, and its PAN two columns; another's lie apart alike."""
    entries = {entry.name: entry for entry in find_scenes([shared("data/real")])}

    found = estimate_pair(entries["UNK_osman_1"].load(), local_shift=True).local_shift
    assert found is not None
    changes = {step.axis: step.change[step.axis] for step in found.field.steps}
    assert {0: 4.0, 1: 1.0} == pytest.approx(changes, abs=0.15)
    for name in ("SPOT6_liqilei_cropland", "L8_mmsm_1"):
        assert estimate_pair(entries[name].load(), local_shift=True).local_shift is None

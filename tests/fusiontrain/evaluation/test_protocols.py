"""Cases: what methods are given, and what they are held to."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.contenders import classical, score
from fusiontrain.evaluation.protocols import full, reduced
from fusiontrain.fusion.sensor_model import PairEstimate
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.metrics import ergas
from fusiontrain.scenes.scene import Scene
from tests.support.displaced_pairs import displaced_pair
from tests.support.pairs import textured_scene

# Statistics of the whole scene go into each of these.
MASKED = ["EXP", "GS", "PCA", "GSA", "BDSD", "MTF-GLP-HPM", "MTF-GLP-FS"]


def test_walds_truth_is_the_ms():
    """Inputs are one level down, and so is their phase: PAN there is near the 4x4 means."""
    given = textured_scene()

    case = reduced(given)

    torch.testing.assert_close(given.ms, case.truth)
    means = torch.nn.functional.avg_pool2d(given.pan, 4)[0]
    for rolled in (means.roll(1, 0), means.roll(1, 1)):
        assert (case.scene.pan[0] - means).abs().mean() < 0.3 * (
            case.scene.pan[0] - rolled
        ).abs().mean()
    assert ((4, 16, 18), (1, 64, 72)) == (case.scene.ms.shape, case.scene.pan.shape)
    assert [pytest.approx(0.30)] * 4 == case.sensor_model.mtf.tolist()


@pytest.mark.parametrize("phase", ["aligned", "toolbox"])
def test_each_phase_puts_ms_pixels_where_it_says(phase):
    """On a ramp, the MS pixel i is worth the truth at 4 i + 1.5 or at 4 i + 2."""
    ramp = torch.arange(80.0).expand(4, 80, 80)
    given = Scene(name="x", ms=ramp * 10 + 100, pan=torch.rand(1, 320, 320) * 100 + 100)

    case = reduced(given, convention=phase, softness=0.3)

    # The toolbox's kernels do not sum to one, so its DN are a little low: positions in DN ratios.
    computed = case.scene.ms[0, 10, 5:15]
    shift = {"aligned": 1.5, "toolbox": 2.0}[phase]
    expected = 100 + 10 * (4 * torch.arange(5.0, 15.0) + shift)
    if phase == "aligned":
        torch.testing.assert_close(expected, computed, rtol=1e-4, atol=0.01)
    else:
        factor = float((computed / expected).mean())
        assert 0.995 < factor < 1.0
        torch.testing.assert_close(expected * factor, computed, rtol=1e-4, atol=0.01)
    assert phase == case.scene.phase


def test_a_scenes_own_truth_is_used_as_it_is():
    """h5 and mat files bring gt: nothing is degraded."""
    given = textured_scene()
    truth = torch.rand(4, 256, 288) * 1000
    case = reduced(replace(given, gt=truth, phase="toolbox"), softness=0.25)

    torch.testing.assert_close(truth, case.truth)
    torch.testing.assert_close(given.ms, case.scene.ms)
    assert [pytest.approx(0.25)] * 4 == case.sensor_model.softness.tolist()


@pytest.mark.parametrize(
    ("apart", "phase"), [(0.5, "toolbox"), (0.0, "aligned"), (-0.5, "aligned")]
)
def test_a_reduced_pair_shows_the_toolboxs_phase(apart, phase):
    """By the shift that was estimated on it: half a PAN pixel down and along."""
    given = replace(textured_scene(), gt=torch.rand(4, 256, 288) * 1000)
    pair = PairEstimate(softness=0.4, shift=(apart, apart))

    case = reduced(given, pair=pair, same_sensor=0.35)

    assert phase == case.scene.phase
    assert ("its phase is taken" in case.note) == (phase == "toolbox")
    expected = {"toolbox": 0.9, "aligned": 0.35}[phase]
    assert [pytest.approx(expected)] * 4 == case.sensor_model.softness.tolist()


def test_wald_gives_each_band_its_own_softness():
    """Bands of one scene through different gains; PAN as it is."""
    scene = textured_scene()
    gains = torch.tensor([[0.1, 0.2, 0.35, 0.5]], dtype=torch.float64)
    ms = degrade(scene.pan[None].double().expand(1, 4, -1, -1), gains, 4)[0].float()

    case = reduced(replace(scene, ms=ms))

    assert gains[0].tolist() == pytest.approx(case.sensor_model.softness.tolist(), abs=0.03)


def test_full_resolution_is_cut_to_whole_blocks():
    case = full(textured_scene(70, 75))

    assert (256, 288) == case.scene.pan.shape[1:]
    assert (64, 72) == case.scene.shape
    assert case.truth is None


def test_indices_are_the_metrics_own():
    """The border is left out; results come with their seconds."""
    case = reduced(textured_scene())

    results = {r.method: r for r in score(case, classical(["EXP", "GSA", "GSA soft"]))}

    inner = slice(8, -8)
    fused = results["GSA"].fused[:, inner, inner]
    expected = float(ergas(case.truth[:, inner, inner], fused, ratio=4))
    assert expected == pytest.approx(results["GSA"].indices["ERGAS"], rel=1e-6)
    assert results["GSA"].indices["ERGAS"] < results["EXP"].indices["ERGAS"]
    assert all(r.seconds > 0 for r in results.values())
    at_full = next(score(full(textured_scene()), classical(["GSA"]))).indices
    assert {"D_lambda_K", "D_s", "HQNR", "HQNR_reg", "D_rho", "S", "C"} == set(at_full)
    assert at_full["HQNR"] == pytest.approx((1 - at_full["D_lambda_K"]) * (1 - at_full["D_s"]))


def test_a_pan_that_lies_elsewhere_costs_nothing_once_it_is_registered():
    """What keeps the MS's place scores as on the pair that was never moved, but by HQNR.

    By a method without regression: this scene's bands are multiples of each other, and GSA's
    weights of them hang on the last digits.
    """
    still, moved = (
        full(replace(textured_scene(96, 96), pan=shift_image(textured_scene(96, 96).pan, shift)))
        for shift in ((0.0, 0.0), (1.4, -0.8))
    )
    (method,) = classical(["GS"], registered=True)

    ((before,), (after,)) = (score(case, [method]) for case in (still, moved))

    assert after.indices["HQNR_reg"] == pytest.approx(before.indices["HQNR"], abs=0.001)
    assert abs(after.indices["HQNR"] - before.indices["HQNR"]) > 0.005


def test_in_the_frame_of_pan_a_displaced_pair_is_the_pair_in_place():
    """MS and PAN by one ground; the indices compare with the MS where it is moved to."""
    still, displaced = displaced_pair(), displaced_pair(1.4, -0.8)

    here, there = (full(scene, frame="pan") for scene in (still, displaced))

    inner = (slice(None), slice(8, -8), slice(8, -8))
    assert (here.scene.ms - there.scene.ms)[inner].abs().mean() < 2
    assert (still.ms - displaced.ms)[inner].abs().mean() > 10
    torch.testing.assert_close(displaced.pan[:, :256, :256], there.scene.pan)
    ((before,), (after,)) = (score(case, classical(["GS"])) for case in (here, there))
    assert "HQNR_reg" not in after.indices
    assert after.indices["HQNR"] == pytest.approx(before.indices["HQNR"], abs=0.005)
    as_it_came = next(score(full(displaced), classical(["GS"]))).indices["HQNR"]
    assert as_it_came < after.indices["HQNR"] - 0.02
    assert "ms" == full(displaced, frame="pan", convention="toolbox").sensor_model.frame


def test_nodata_is_left_out_with_all_that_filters_mix_into_it():
    """Garbage in a corner moves no index."""
    given = textured_scene(128, 128)
    valid = torch.ones(512, 512, dtype=torch.bool)
    valid[:64, :64] = False
    ruined = replace(given, valid=valid, ms=given.ms.clone(), pan=given.pan.clone())
    ruined.ms[:, :16, :16] = 0
    ruined.pan[:, :64, :64] = 0
    calm = replace(given, valid=valid)

    computed, expected = (
        [r.indices for r in score(reduced(one, softness=0.3), classical(MASKED))]
        for one in (ruined, calm)
    )

    for method, one, other in zip(MASKED, computed, expected, strict=True):
        for name, value in other.items():
            assert one[name] == pytest.approx(value, rel=5e-3), (method, name)
    empty = replace(given, valid=torch.zeros_like(valid))
    with pytest.raises(SceneError, match="far enough from nodata"):
        reduced(empty, softness=0.3)


def test_scenes_too_small_are_refused():
    with pytest.raises(SceneError, match="needs 48 MS pixels"):
        reduced(textured_scene(40, 40))
    with pytest.raises(SceneError, match="needs 64 PAN pixels"):
        full(textured_scene(10, 40))


def test_unknown_methods_are_named():
    with pytest.raises(SceneError, match="no method GSB; have: EXP"):
        classical(["GSA", "GSB"])


def test_interpolation_follows_the_phase():
    """A pair in the toolbox's phase, taken for an aligned one, is half a pixel off."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 4, 5, 5, generator=rng) * 400 + 300
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=16, mode="bicubic")[0]
    given = Scene(name="x", ms=smooth, pan=torch.rand(1, 320, 320, generator=rng))
    case = reduced(given, convention="toolbox", softness=0.5)
    wrong = replace(case, scene=replace(case.scene, phase="aligned"))

    right, off = (next(score(one, classical(["EXP"]))).indices["ERGAS"] for one in (case, wrong))

    assert right < 0.8 * off

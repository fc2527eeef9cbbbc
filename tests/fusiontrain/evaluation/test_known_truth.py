"""Known truth: what methods are given, where results lie, and the indices."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.api import pansharpen
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.contenders import classical, load_networks, score
from fusiontrain.evaluation.protocols import full, known
from fusiontrain.evaluation.score_image import score_image
from fusiontrain.imaging.filters import blur, degrade
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.metrics import sharpness
from fusiontrain.scenes.scene import Scene
from tests.support.pairs import textured_scene

NO_MOVE = (0.0, 0.0)


def ground(*, moved=NO_MOVE, bands=4, side=192):
    """A truth that its PAN explains, and an MS of it that lies `moved` PAN pixels off."""
    rng = torch.Generator().manual_seed(4)
    noise = torch.randn(1, bands + 1, side, side, generator=rng)
    own = blur(noise, torch.tensor([[1.0] + [5.0] * bands])) * 900
    gains = torch.linspace(0.6, 1.2, bands)[:, None, None]
    truth = 900 + own[0, :1] * gains + own[0, 1:]
    shifted = torch.stack([shift_image(band[None], moved)[0] for band in truth])
    ms = degrade(shifted[None], torch.full((1, bands), 0.25), 4)[0]
    return Scene(
        name="x", ms=ms, pan=truth.mean(0, keepdim=True), gt=truth, bits=12, sensor=GENERIC_SENSOR
    )


GENERIC_SENSOR = textured_scene().sensor


def test_nothing_is_given_but_what_the_pair_shows():
    """The MTF is near the one that made the MS; the result lies on PAN; the truth is not given."""
    case = known(ground())

    assert "known" == case.protocol
    assert case.scene.gt is None
    assert "pan" == case.sensor_model.frame
    assert case.sensor_model.mtf.tolist() == pytest.approx([0.25] * 4, abs=0.05)
    assert case.pair is not None


def test_a_registered_method_gets_the_ms_on_pan():
    """Moved by one and a half pixels, the MS costs a plain method; a registered one, hardly."""
    still, moved = (known(ground(moved=shift)) for shift in (NO_MOVE, (1.5, -1.0)))
    methods = [*classical(["GSA"]), *classical(["GSA"], registered=True)]

    at_rest, after = (
        {r.method: r.indices["ERGAS"] for r in score(case, methods)} for case in (still, moved)
    )

    assert after["GSA"] > 1.2 * at_rest["GSA"]
    assert after["GSA registered"] < 1.05 * at_rest["GSA"]
    torch.testing.assert_close(moved.registered.pan[0], moved.scene.pan)
    before, behind = (
        (x - still.scene.ms).abs().mean() for x in (moved.scene.ms, moved.registered.ms[0])
    )
    assert behind < 0.5 * before


@pytest.mark.parametrize("weights", ["default", "default-sensor"])
def test_a_network_gives_what_fuse_gives(weights):
    """Pixel by pixel what a user gets of the pair without flags."""
    case = known(ground(moved=(1.0, 0.5)))
    (network,) = load_networks([weights])

    fused = network.fuse(case)

    expected = pansharpen(case.scene.pan.numpy(), case.scene.ms.numpy(), weights=weights)
    torch.testing.assert_close(torch.from_numpy(expected), fused, rtol=1e-4, atol=0.1)


def test_indices_of_the_truth_and_of_what_is_not():
    """The truth scores perfectly; S and C are over its own; a redder screen shows in dE."""
    case = known(ground())

    perfect = score_image(case, case.truth)
    blurred = score_image(case, blur(case.truth[None], torch.full((1, 4), 1.5))[0])
    tinted = case.truth.clone()
    tinted[2] *= 1.2
    redder = score_image(case, tinted)

    assert list(perfect) == ["ERGAS", "SAM", "Q2n", "SSIM", "dE", "S/truth", "C/truth"]
    assert list(perfect.values()) == pytest.approx([0, 0, 1, 1, 0, 1, 1], abs=1e-3)
    assert blurred["S/truth"] < 0.5
    assert redder["dE"] > 2
    inner = slice(8, -8)
    cut, pan = case.truth[:, inner, inner] * 1.0, case.scene.pan[:, inner, inner]
    expected = float(sharpness(blurred_of(case)[:, inner, inner], pan, ratio=4)) / float(
        sharpness(cut, pan, ratio=4)
    )
    assert blurred["S/truth"] == pytest.approx(expected, rel=1e-5)


def blurred_of(case):
    return blur(case.truth[None], torch.full((1, 4), 1.5))[0]


def test_sharpness_stands_beside_hqnr_at_full_resolution():
    """GSA is as sharp as PAN, EXP is not, and EXP has hardly any coloured detail."""
    case = full(replace(ground(), gt=None))

    rows = {r.method: r.indices for r in score(case, classical(["EXP", "GSA"]))}

    assert rows["GSA"]["S"] == pytest.approx(1, abs=0.05)
    assert rows["EXP"]["S"] < 0.4
    assert 0 < rows["EXP"]["C"] < rows["GSA"]["C"] + 1


def test_what_has_no_truth_on_pan_is_refused():
    with pytest.raises(SceneError, match=r"known truth needs X_gt\.tif"):
        known(replace(ground(), gt=None))
    with pytest.raises(SceneError, match="on PAN's grid"):
        known(replace(ground(), phase="toolbox"))
    small = ground(side=32)
    with pytest.raises(SceneError, match="need 48 PAN pixels a side"):
        known(small)

import json

import pytest
import torch

from fusiontrain.fusion.sensor_model import estimate_sensor_model
from fusiontrain.imaging.blur_estimation import MIN_GAIN, estimate_band_softness, estimate_softness
from fusiontrain.imaging.filters import blur, degrade, gain_to_sigma
from fusiontrain.scenes.scene import Scene
from shards.sensors import find_sensor


def pair(gain: float, ratio: int = 4, noise: float = 0.0, seed: int = 0):
    """Bands of one scene, of which PAN is a mix, seen through a known gain."""
    rng = torch.Generator().manual_seed(seed)
    side = 64 * ratio
    scene = torch.randn(1, 3, side, side, generator=rng, dtype=torch.float64).cumsum(-1).cumsum(-2)
    scene = scene / scene.std() * 200 + 20 * torch.randn(scene.shape, generator=rng)
    pan = 0.6 * scene[0].mean(0, keepdim=True) + 90
    ms = degrade(scene, torch.full((1, 3), gain, dtype=torch.float64), ratio)[0]
    return ms + noise * torch.randn(ms.shape, generator=rng), pan


@pytest.mark.parametrize("gain", [0.12, 0.25, 0.4, 0.55])
@pytest.mark.parametrize("ratio", [2, 4])
def test_the_blur_of_a_simulated_pair_is_found(gain, ratio):
    """Whatever gain and offset lie between PAN and MS."""
    ms, pan = pair(gain, ratio)

    assert gain == pytest.approx(estimate_softness(ms, pan, ratio), abs=0.02)
    assert gain == pytest.approx(estimate_softness(ms * 3 + 50, pan, ratio), abs=0.02)


@pytest.mark.parametrize("gain", [0.025, 0.04, 0.06])
def test_the_blur_of_a_very_soft_ms_is_found(gain):
    """GaoFen-2 and SPOT-6 as delivered; softer than MIN_GAIN is MIN_GAIN."""
    assert gain == pytest.approx(estimate_softness(*pair(gain), 4), rel=0.15)
    assert MIN_GAIN == pytest.approx(estimate_softness(*pair(0.003), 4), rel=0.05)


def test_noise_does_not_mislead_it():
    """A few DN of noise on 200 of spread."""
    ms, pan = pair(0.3, noise=3.0)

    assert 0.3 == pytest.approx(estimate_softness(ms, pan, 4), abs=0.04)


def test_each_band_has_its_own_blur():
    """Bands that saw one scene with different gains; the commands call this `bands`."""
    gains = [0.15, 0.35, 0.55]
    _, pan = pair(0.3)
    images = (pan[None] * torch.tensor([0.5, 1.0, 1.5])[None, :, None, None]).double()
    ms = degrade(images, torch.tensor([gains], dtype=torch.float64), 4)[0] + 40

    found = estimate_band_softness(ms, pan, 4, softness=estimate_softness(ms, pan, 4))
    assert gains == pytest.approx(found.tolist(), abs=0.02)

    scene = Scene(name="x", ms=ms.float(), pan=pan.float())
    known = estimate_sensor_model(scene, sensor=None, softness="bands", register=False)
    wanted = [0.3, 0.35, 0.55]  # no softer than a nominal sensor
    assert wanted == pytest.approx(known.softness.tolist(), abs=0.02)
    # Gaussians in series: what the wanted softness leaves to the sensor.
    left = [gain / soft ** (1 / 16) for gain, soft in zip(gains, wanted, strict=True)]
    assert left == pytest.approx(known.mtf.tolist(), abs=0.02)


@pytest.mark.parametrize(("of_all", "shades"), [(0.02, 0.0), (0.9, 0.0), (0.3, 1.0)])
def test_two_of_three_estimates_outvote_a_third(of_all, shades):
    """One number for all bands far off, or shades of the bands that PAN does not see."""
    _, pan = pair(0.3)
    images = pan[None] * torch.tensor([0.5, 1.0, -1.5], dtype=torch.float64)[None, :, None, None]
    ms = degrade(images, torch.full((1, 3), 0.3, dtype=torch.float64), 4)[0]
    rng = torch.Generator().manual_seed(1)
    coarse = torch.randn(1, 3, 64, 64, generator=rng, dtype=torch.float64)
    coarse = blur(coarse, torch.full((1, 3), 12.0, dtype=torch.float64))[0]
    ms = ms + shades * ms.std((1, 2), keepdim=True) * coarse / coarse.std()

    found = estimate_band_softness(ms, pan, 4, softness=of_all)

    assert [0.3] * 3 == pytest.approx(found.tolist(), abs=0.05)


@pytest.mark.parametrize("fill", [0.0, -9999.0, float("nan")])
def test_fill_does_not_mislead_the_bands(fill):
    """A third of the scene has no data."""
    _, pan = pair(0.3)
    images = pan[None] * torch.tensor([0.5, 1.0, -1.5], dtype=torch.float64)[None, :, None, None]
    ms = degrade(images, torch.full((1, 3), 0.3, dtype=torch.float64), 4)[0]
    valid = torch.ones(64, 64, dtype=torch.bool)
    valid[:, :20] = False

    holed = estimate_band_softness(ms.where(valid, fill), pan, 4, valid, softness=0.9)

    assert [0.3] * 3 == pytest.approx(holed.tolist(), abs=0.03)


def test_a_very_soft_ms_is_not_sharpened_in_full():
    """A crisp result of it is given a larger MTF than was estimated; its own softness is not."""
    ms, pan = pair(0.08)
    scene = Scene(name="x", ms=ms.float(), pan=pan.float())

    crisp, own = (estimate_sensor_model(scene, sensor=None, softness=s) for s in (0.9, None))

    assert [0.12] * len(ms) == pytest.approx(crisp.mtf.tolist())
    assert [0.08 / 0.3 ** (1 / 16)] * len(ms) == pytest.approx(own.mtf.tolist(), abs=0.02)


def test_softer_than_nominal_is_known_but_not_wanted():
    """What a number asks for is taken as it is; what the MS itself has is remembered."""
    ms, pan = pair(0.1)
    scene = Scene(name="x", ms=ms.float(), pan=pan.float())

    auto, given = (estimate_sensor_model(scene, sensor=None, softness=s) for s in (None, 0.1))

    assert [0.3] * len(ms) == pytest.approx(auto.softness.tolist())
    assert [0.1] * len(ms) == pytest.approx(given.softness.tolist())
    assert (0.1, 0.1) == (
        pytest.approx(auto.ms_softness, abs=0.02),
        pytest.approx(given.ms_softness, abs=0.02),
    )


def test_a_flat_scene_has_some_softness():
    """No blur can be seen; nothing breaks."""
    value = estimate_softness(torch.full((3, 16, 16), 7.0), torch.full((1, 64, 64), 9.0), 4)

    assert MIN_GAIN <= value <= 0.95


@pytest.mark.parametrize("name", ["IKONOS_grip_1", "WV2_grip_1", "QB_dispnet_1", "PLEIADES_jian_3"])
def test_real_scenes_blur_as_others_measured(shared, name):
    """The scene's json has an independent estimate, in steps of .2 PAN pixels."""
    from fusiontrain.fusion.sensor_model import estimate_pair
    from fusiontrain.imaging.filters import gain_to_sigma
    from fusiontrain.scenes.grid_alignment import open_pair

    folder = shared("data/real")
    expected = json.loads((folder / f"{name}.json").read_text())["checks"]
    with open_pair(folder / f"{name}_pan.tif", folder / f"{name}_ms.tif") as opened:
        sigma = float(gain_to_sigma(torch.tensor(estimate_pair(opened).softness), 4))

    assert expected["best_gauss_sigma_pan_px"] == pytest.approx(sigma, abs=0.25)


def test_the_sensor_model_of_a_scene():
    """A row if one is named; else the MTF that, after the wanted softness, makes the blur."""
    ms, pan = pair(0.3)
    scene = Scene(name="x", ms=ms[:3].float(), pan=pan.float())

    row = estimate_sensor_model(scene, sensor=find_sensor("GeoEye-1"), softness=0.6)
    measured = estimate_sensor_model(scene, sensor=None, softness=None)

    assert [pytest.approx(0.23)] * 3 == row.mtf.tolist()
    assert [pytest.approx(0.6)] * 3 == row.softness.tolist()
    assert 0.3 == pytest.approx(float(measured.softness[0]), abs=0.02)
    # A scene seen at the wanted softness, then through that MTF, is as blurred as the MS is.
    wanted = blur(pan[None].double(), gain_to_sigma(measured.softness[:1, None].double(), 1))
    seen = degrade(wanted, measured.mtf[:1, None].double(), 4)[0]
    assert 0.3 == pytest.approx(estimate_softness(seen, pan, 4), abs=0.03)

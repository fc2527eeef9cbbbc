"""Where PAN lies on the MS, found to a few hundredths of a pixel."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.evaluation.protocols import reduced
from fusiontrain.fusion import sensor_model
from fusiontrain.fusion.network_fuser import fuse_network
from fusiontrain.fusion.sensor_model import estimate_pair, estimate_sensor_model
from fusiontrain.imaging.filters import degrade, gain_to_sigma
from fusiontrain.imaging.shift_estimation import NO_SHIFT, estimate_shift, shift_image
from fusiontrain.models.registry import build_model, find_model
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.scenes.scene import Scene
from shards.sensors import find_sensor

FINE = 8  # the ground is known on a grid so much finer than PAN's


def ground(seed: int, side: int) -> torch.Tensor:
    """(3, side, side): materials with edges, each of its own colour, and texture."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, side // 64, side // 64, generator=rng)
    kinds = torch.nn.functional.interpolate(coarse, size=side, mode="bicubic")[0, 0]
    colours = 300 + 900 * torch.rand(3, 6, generator=rng)
    picked = colours[:, (kinds.clamp(0, 0.999) * 6).long()]
    texture = torch.rand(3, side // 8, side // 8, generator=rng)
    return picked + 150 * torch.nn.functional.interpolate(texture[None], size=side)[0]


def pair(shift: tuple[float, float], ratio: int = 4, seed: int = 0):
    """MS and PAN of one ground; PAN begins `shift` of its pixels before the MS."""
    side = 48 * ratio
    moved = [round(part * FINE) for part in shift]
    fine = ground(seed, (side + 8) * FINE)
    margin = 4 * FINE
    size = side * FINE
    bands = fine[:, margin : margin + size, margin : margin + size]
    seen = fine.mean(0)[
        margin - moved[0] : margin - moved[0] + size, margin - moved[1] : margin - moved[1] + size
    ]
    pixels = torch.nn.functional.avg_pool2d
    on_pan = pixels(bands[None], FINE)
    ms = degrade(on_pan, torch.full((1, 3), 0.3), ratio)[0]
    return ms, 0.7 * pixels(seen[None, None], FINE)[0] + 50


@pytest.mark.parametrize("ratio", [2, 3, 4])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.25), (-1.5, 1.0), (2.0, 2.5)])
def test_a_known_shift_is_found(shift, ratio):
    """Whatever gain, offset and spectrum lie between PAN and MS."""
    ms, pan = pair(shift, ratio)
    sigma = float(gain_to_sigma(torch.tensor(0.3), ratio))

    found = estimate_shift(ms, pan, ratio, sigma)

    assert shift == pytest.approx(found, abs=0.06)
    assert found == pytest.approx(estimate_shift(ms * 3 + 70, pan * 0.2, ratio, sigma), abs=1e-3)


@pytest.mark.parametrize("shift", [(0.5, -1.25), (0.1, 0.9), (-2.5, 3.0)])
def test_waves_move_as_waves_do(shift):
    """Up to .3 of a cycle a pixel; a whole pixel is a copy, none is the image itself."""
    y, x = torch.meshgrid(*[torch.arange(64, dtype=torch.float64)] * 2, indexing="ij")

    def wave(dy: float, dx: float) -> torch.Tensor:
        return (torch.sin(1.9 * (y + dy)) * torch.cos(1.2 * (x + dx) + 0.3))[None]

    inner = (..., slice(16, -16), slice(16, -16))

    assert torch.allclose(shift_image(wave(0, 0), shift)[inner], wave(*shift)[inner], atol=0.02)
    copied = shift_image(wave(0, 0), (3.0, 0.0))
    assert torch.allclose(copied[:, 16:-16], wave(0, 0)[:, 19:-13], atol=1e-12)
    assert shift_image(y, NO_SHIFT) is y


@pytest.mark.parametrize("value", [0.0, 800.0])
def test_a_flat_pair_stays_where_it_is(value):
    """Nothing can be seen; nothing breaks, nothing moves."""
    assert NO_SHIFT == estimate_shift(
        torch.full((4, 32, 32), value), torch.ones(1, 128, 128), 4, 2.0
    )


def test_noise_alone_moves_little():
    rng = torch.Generator().manual_seed(0)
    ms, pan = pair((0.75, -0.5))
    noisy = ms + 20 * torch.randn(ms.shape, generator=rng)

    assert (0.75, -0.5) == pytest.approx(estimate_shift(noisy, pan, 4, 1.97), abs=0.1)


def test_nodata_is_not_looked_at():
    """Garbage under the mask changes nothing."""
    ms, pan = pair((1.0, -0.5))
    valid = torch.ones(ms.shape[1:], dtype=torch.bool)
    valid[:20, :16] = False
    ruined = torch.where(valid, ms, 65535.0)

    clean = estimate_shift(ms, pan, 4, 1.97, valid)

    assert clean == pytest.approx(estimate_shift(ruined, pan, 4, 1.97, valid), abs=1e-9)
    assert (1.0, -0.5) == pytest.approx(estimate_shift(ruined, pan, 4, 1.97, valid), abs=0.06)


def test_the_toolbox_phase_has_its_own_zero():
    """A pair of the aligned phase, called one of the toolbox's, is off by half a PAN pixel."""
    ms, pan = pair((0.0, 0.0))

    assert (-0.5, -0.5) == pytest.approx(
        estimate_shift(ms, pan, 4, 1.97, phase="toolbox"), abs=0.06
    )


def test_a_network_gets_the_registered_pan():
    """Fusing knows the shift: a moved PAN fuses to what the unmoved one does."""
    torch.manual_seed(0)
    entry = find_model("anyband")
    net = build_model(entry.name, **entry.sizes)
    fused = {}
    for shift in ((0.0, 0.0), (1.0, -0.5)):
        ms, pan = pair(shift)
        scene = Scene(name="made", ms=ms, pan=pan, bits=11, sensor=find_sensor("generic"))
        for register in (True, False):
            model = estimate_sensor_model(scene, sensor=None, softness=0.3, register=register)
            whole = fuse_network(scene, net, model, halo=entry.halo(4))
            fused[shift, register] = whole[:, 16:-16, 16:-16]
    straight, crooked = fused[(0.0, 0.0), True], fused[(1.0, -0.5), True]
    left = (fused[(1.0, -0.5), False] - straight).square().mean()

    assert (crooked - straight).square().mean() < 0.05 * left


@pytest.mark.parametrize(
    "name", ["L8_mmsm_1", "IKONOS_grip_1", "WV2_solaris_sn6_2", "GF2_ucgan_train1", "QB_dispnet_1"]
)
def test_real_pairs_say_the_same_one_level_down(shared, name):
    """PAN pixels of the reduced pair are MS pixels of the pair itself: ratio times as large."""
    entry = next(e for e in find_scenes([shared("data/real")]) if e.name == name)
    scene = entry.load()

    here = estimate_pair(scene).shift
    below = reduced(scene).sensor_model.shift

    assert tuple(part / scene.ratio for part in here) == pytest.approx(below, abs=0.1)
    assert max(map(abs, below)) > 0.08


@pytest.mark.parametrize("name", ["L8_mmsm_1", "IKONOS_grip_1"])
def test_a_start_on_the_middle_finds_the_same(shared, monkeypatch, name):
    """Large windows: within .02 pixel and .01 of softness of the search over the whole window."""
    entry = next(e for e in find_scenes([shared("data/real")]) if e.name == name)
    scene = entry.load()
    whole = estimate_pair(scene)

    monkeypatch.setattr(sensor_model, "_COARSE_SIDE", 128)
    started = estimate_pair(scene)

    assert whole.shift == pytest.approx(started.shift, abs=0.02)
    assert whole.softness == pytest.approx(started.softness, abs=0.01)
    assert whole.shift != started.shift  # another way indeed


def test_landsat_is_half_a_pan_pixel_off(shared):
    """Its PAN grid begins half a PAN pixel before the MS's: USGS LSDS-1574, Landsat 8 Level 1."""
    entry = next(e for e in find_scenes([shared("data/real")]) if e.name == "L8_mmsm_1")

    assert (-0.5, 0.5) == pytest.approx(estimate_pair(entry.load()).shift, abs=0.05)


def test_registration_can_be_left_out(shared):
    entry = next(e for e in find_scenes([shared("data/real")]) if e.name == "GF2_ucgan_train1")
    scene = entry.load()

    assert (
        NO_SHIFT == estimate_sensor_model(scene, sensor=None, softness=None, register=False).shift
    )
    assert "registered by" in str(replace(estimate_sensor_model(scene, sensor=None, softness=None)))

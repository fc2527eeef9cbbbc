"""Tuning on one pair, and what keeps it honest."""

import itertools
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from fusiontrain.cli import main
from fusiontrain.errors import SceneError, TrainingError
from fusiontrain.evaluation.leakage import refuse_shared_pixels
from fusiontrain.evaluation.protocols import full, reduced
from fusiontrain.imaging.filters import blur, reduce_pan
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.scenes.scene import Scene
from fusiontrain.training import tuning_lines
from fusiontrain.training.losses import relative_l1
from fusiontrain.training.one_shot import OneShot, tune
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from fusiontrain.training.run import train

QUICK = replace(ONE_SHOT["full"](), max_steps=8, batch_size=2, crop=48)
QUICK_FREEZE = replace(QUICK, trained="freeze", learning_rate=1e-3)


def ground(seed, side=400):
    rng = torch.Generator().manual_seed(seed)
    fine = torch.randn(1, 1, side, side, generator=rng)
    return (blur(fine, torch.full((1, 1), 1.2)) * 900 + 1000).round()


def scene(name="x", seed=0, pan=None, ratio=4) -> Scene:
    pan = ground(seed) if pan is None else pan
    low = torch.nn.functional.avg_pool2d(pan, ratio)
    ms = low * torch.tensor([0.5, 0.7, 0.9])[None, :, None, None] + 100
    return Scene(name=name, ms=ms[0], pan=pan[0], bits=11)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return build_model("anyband", width=8, blocks=4)


@pytest.mark.parametrize("mode", ["full", "freeze"])
def test_tuning_learns_the_pair_and_leaves_the_network_alone(net, mode):
    """Freeze-tuning moves the parameters that the entry names, all of them and no others."""
    entry = MODELS["anyband"]
    before = {name: value.clone() for name, value in net.named_parameters()}
    case = reduced(scene(), softness=0.5)
    config = replace(ONE_SHOT[mode](), max_steps=40, batch_size=2, crop=48, learning_rate=1e-2)

    tuned = tune(net, entry, case, config)

    def error(one):
        with torch.no_grad():
            return float(relative_l1(one(case.batch), case.truth[None], case.batch.ms))

    assert error(tuned) < 0.998 * error(net)
    assert all(torch.equal(before[name], value) for name, value in net.named_parameters())
    moved = {n for n, value in tuned.named_parameters() if not torch.equal(before[n], value)}
    if mode == "freeze":
        assert {n for n in before if n.startswith(entry.freeze_tuning_prefixes)} == moved
        assert 0 < len(moved) < len(before)
    else:
        # FiLM is linear in what begins at zero: some moves only once the head has.
        assert {n for n in before if not n.startswith(entry.freeze_tuning_prefixes)} <= moved


def test_the_same_tuning_gives_the_same_network(net):
    case = reduced(scene(), softness=0.5)

    one, two = (tune(net, MODELS["anyband"], case, QUICK) for _ in range(2))

    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_half_a_blend_lies_half_way(net):
    """Between the network as it came and the one that was tuned; shards take no blend."""
    case = reduced(scene(), softness=0.5)

    whole, half = (
        tune(net, MODELS["anyband"], case, replace(QUICK, blend=share)) for share in (1.0, 0.5)
    )

    for start, end, mean in zip(*(n.parameters() for n in (net, whole, half)), strict=True):
        torch.testing.assert_close((start + end) / 2, mean)
    assert any(
        not torch.equal(start, mean)
        for start, mean in zip(net.parameters(), half.parameters(), strict=True)
    )
    with pytest.raises(TrainingError, match="no blend"):
        train(replace(QUICK, blend=0.5), [], Path("nowhere"))


def test_there_is_nothing_to_learn_without_a_truth(net):
    with pytest.raises(SceneError, match="needs a truth"):
        tune(net, MODELS["anyband"], full(scene()), QUICK)


def test_shared_pixels_are_found_wherever_they_lie():
    """A crop at an odd place, thin overlaps, altered copies, and one reduced by the ratio."""
    pan = ground(1, 640)
    whole = scene("whole", pan=pan)
    crop = scene("crop", pan=pan[..., 123:323, 57:297])
    thin = torch.cat([ground(2, 640)[..., :600], pan[..., :40]], -1)
    coarse = scene("coarse", pan=reduce_pan(ground(3, 1600), 4).round())
    fine = scene("fine", pan=ground(3, 1600)[..., :800, :800])

    altered = [
        scene("brighter", pan=pan[..., :400, :400] + 1),
        scene("stretched", pan=(pan[..., :400, :400] * 0.37).round()),
        scene("noisy", pan=pan[..., :400, :400] + torch.randn(400, 400)),
        scene("turned", pan=torch.rot90(pan[..., :400, :480], 1, (-2, -1))),
        scene("mirrored", pan=pan[..., :400, :400].flip(-1)),
    ]
    strip = torch.cat([ground(9, 640)[..., :612], pan[..., :28]], -1)
    for other in (crop, scene("thin", pan=thin), scene("strip", pan=strip), *altered):
        for pair in ((whole, other), (other, whole)):
            with pytest.raises(SceneError, match="share pixels"):
                refuse_shared_pixels(*pair)
    with pytest.raises(SceneError, match="reduced: correlation"):
        refuse_shared_pixels(fine, coarse)


def test_other_ground_and_flat_ground_are_no_leak():
    """Equal statistics, equal saturation: still other pixels."""
    one, two = ground(4), ground(5)
    one[..., :200], two[..., 100:300] = 2047, 2047
    flat = torch.full((1, 1, 400, 400), 300.0)

    refuse_shared_pixels(scene(pan=one), scene(pan=two))
    refuse_shared_pixels(scene(pan=flat), scene(pan=flat.clone()))


@pytest.mark.slow
def test_real_scenes_that_overlap_are_found(shared):
    """Their own description says which: the mosaic holds the ground of two QuickBird scenes."""
    entries = find_scenes([shared("data/real")])
    quickbird = [e.load() for e in entries if e.name.startswith("QB")]
    found = set()
    for a, b in itertools.combinations(quickbird, 2):
        try:
            refuse_shared_pixels(a, b)
        except SceneError:
            found.add((a.name, b.name))

    assert {
        ("QB_dispnet_1", "QBrr_p2sharpen_mosaic"),
        ("QB_p2sharpen_1", "QBrr_p2sharpen_mosaic"),
    } == found


def test_each_scene_is_judged_by_a_network_that_saw_one_other(net):
    """The next by name around the circle; a scene alone of its kind is not judged."""
    scenes = [scene("a", 1), scene("b", 2), scene("c", 3)]
    entries = [SceneEntry(name=s.name, load=lambda s=s: s) for s in scenes]
    shot = OneShot(
        net, MODELS["anyband"], config=QUICK_FREEZE, same_sensor_scenes={"generic": entries}
    )

    with torch.inference_mode():
        for one in scenes:
            assert shot(reduced(one, softness=0.5)).shape == (3, 100, 100)

    assert {"a": "b", "b": "c", "c": "a"} == shot.training_scenes
    alone = OneShot(
        net, MODELS["anyband"], config=QUICK, same_sensor_scenes={"generic": entries[:1]}
    )
    assert alone(reduced(scenes[0], softness=0.5)) is None


def test_tuning_for_a_benchmark_says_how_far_it_is(net, monkeypatch, caplog):
    """Where there is no terminal, so no bar."""
    lines = partial(tuning_lines.ProgressLines, every=0.0)
    monkeypatch.setattr(tuning_lines, "ProgressLines", lines)
    scenes = [scene("a", 1), scene("b", 2)]
    entries = [SceneEntry(name=s.name, load=lambda s=s: s) for s in scenes]
    shot = OneShot(net, MODELS["anyband"], config=QUICK, same_sensor_scenes={"generic": entries})

    with caplog.at_level("INFO", "fusiontrain"), torch.inference_mode():
        shot(reduced(scenes[0], softness=0.5))

    assert re.search(rf"tuning on b, loss \d\.\d+: step 1 of {QUICK.max_steps}, ", caplog.text)


def test_a_teacher_never_shares_pixels_with_what_it_teaches(net):
    """b overlaps a, so a is taught by c."""
    pan = ground(1, 640)
    scenes = [
        scene("a", pan=pan[..., :400, :400]),
        scene("b", pan=pan[..., 200:600, 200:600]),
        scene("c", 7),
    ]
    entries = [SceneEntry(name=s.name, load=lambda s=s: s) for s in scenes]
    shot = OneShot(
        net, MODELS["anyband"], config=QUICK_FREEZE, same_sensor_scenes={"generic": entries}
    )

    with torch.inference_mode():
        shot(reduced(scenes[0], softness=0.5))

    assert {"a": "c"} == shot.training_scenes


def test_one_shot_needs_a_network(tmp_path, capsys):
    assert 2 == main(["benchmark", ".", "--one-shot", "full", "--out", str(tmp_path / "o")])
    assert "give --weights" in capsys.readouterr().err


def test_turned_crops_stay_aligned():
    """What flips and turns PAN turns MS and truth with it."""
    from fusiontrain.training.one_shot import crops_of

    case = reduced(scene(), softness=0.5)
    drawn = next(crops_of(case, replace(QUICK, batch_size=8)))
    batch, truth = drawn.inputs, drawn.truth

    assert isinstance(batch, PanBatch)
    # PAN is a mix of the truth's bands up to gain and offset: their correlation says "aligned".
    pan, first = batch.pan[:, 0], truth[:, 0]
    for p, t in zip(pan, first, strict=True):
        assert float(torch.corrcoef(torch.stack([p.flatten(), t.flatten()]))[0, 1]) > 0.9

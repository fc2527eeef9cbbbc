"""The ground of each sensor: the pair that is learnt from, and what is judged, apart from it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from bench.study.seed.plan import SENSORS
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.protocols import full, known, reduced
from fusiontrain.evaluation.score_image import BLOCK
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.scenes.scene import Scene
from shards.errors import PanpriorError

GAP = 8  # pixels of the truth on each side of a scene's middle, between its halves
FULL_SIDE = 384  # PAN pixels that are judged at full resolution
KNOWN_SCENES = 4
FOUR = ("blue", "green", "red", "nir")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """One sensor: four bands; every band too where it has more."""

    learnt: Case
    judged: tuple[Case, ...]
    every_band: tuple[Case, ...]  # () where there are four
    full: Case | None  # None: no pair at full resolution


def read_grounds(paths: Sequence[Path], sensors: Sequence[str]) -> dict[str, Ground]:
    """By sensor, in the order of `sensors`; those without a scene are named on standard error.

    Raises: PanpriorError without any.
    """
    scenes: dict[str, list[Scene]] = {}
    for entry in find_scenes(paths):
        scene = entry.load()
        scenes.setdefault(scene.sensor.name, []).append(scene)
    grounds = {}
    for sensor in sensors:
        try:
            grounds[sensor] = _ground(SENSORS[sensor], scenes.get(sensor, []))
        except SceneError as error:
            print(f"left out: {sensor}: {error}", file=sys.stderr)
    if not grounds:
        raise PanpriorError(f"no scene of {', '.join(sensors)} in {', '.join(map(str, paths))}")
    return grounds


def read_known(folder: Path) -> list[Case]:
    """Scenes of `simgen known` of four bands, the first few by name."""
    scenes = (entry.load() for entry in find_scenes([folder]))
    four = [scene for scene in scenes if scene.bands == len(FOUR)]
    return [known(scene) for scene in four[:KNOWN_SCENES]]


def _ground(preferred: Sequence[str], scenes: Sequence[Scene]) -> Ground:
    named = [scene for scene in scenes if scene.name in preferred] or list(scenes)
    if not named:
        raise SceneError("no scene of it is there")
    if len(named) > 1:  # of different ground, as ../shared/README.md says
        learnt, judged = reduced(_four(named[0])), [reduced(_four(scene)) for scene in named[1:]]
        many, at_full, whole = [reduced(scene) for scene in named[1:]], named[1], True
    else:
        (scene,) = named
        learnt, one = _halves(reduced(_four(scene)))
        judged, many = [one], [_halves(reduced(scene))[1]]
        whole = scene.gt is not None  # then another scene is taken, if there is one
        at_full = _pair_at_full(scenes) if whole else scene
    return Ground(
        learnt=learnt,
        judged=tuple(judged),
        every_band=tuple(many) if named[0].bands > len(FOUR) else (),
        full=None if at_full is None else _full(_four(at_full), whole=whole),
    )


def _pair_at_full(scenes: Sequence[Scene]) -> Scene | None:
    return next((scene for scene in scenes if scene.gt is None), None)


def _full(scene: Scene, *, whole: bool) -> Case:
    """FULL_SIDE PAN pixels of the middle of what is judged."""
    h, w = scene.shape
    begin = 0 if whole else w // 2 + GAP
    side = min(FULL_SIDE, h * scene.ratio, (w - begin) * scene.ratio) // BLOCK * BLOCK
    side //= scene.ratio
    top, left = (h - side) // 2, begin + (w - begin - side) // 2
    return full(_cut_scene(scene, slice(top, top + side), slice(left, left + side)))


def _four(scene: Scene) -> Scene:
    """Blue, green, red and near infrared of a scene of more bands."""
    if scene.bands == len(FOUR):
        return scene
    names = ["nir1" if band == "nir" and "nir" not in scene.sensor.bands else band for band in FOUR]
    if scene.bands != len(scene.sensor.bands) or not set(names) <= set(scene.sensor.bands):
        raise SceneError(f"{scene.name}: which of its {scene.bands} bands are {', '.join(FOUR)}?")
    at = [scene.sensor.bands.index(name) for name in names]
    gt = None if scene.gt is None else scene.gt[at]
    return replace(scene, ms=scene.ms[at], gt=gt, sensor=scene.sensor.only(FOUR))


def _halves(case: Case) -> tuple[Case, Case]:
    """Left and right of a case, with a gap that no filter crosses."""
    w = case.scene.shape[1]
    least = max(2, GAP // case.scene.ratio)  # of the case's own MS pixels
    middle = w // 2
    return (
        _cut_case(case, slice(0, middle - least)),
        _cut_case(case, slice(middle + least, w)),
    )


def _cut_case(case: Case, columns: slice) -> Case:
    fine = _fine(columns, case.scene.ratio)
    truth = None if case.truth is None else case.truth[:, :, fine]
    return replace(
        case, scene=_cut_scene(case.scene, slice(0, case.scene.shape[0]), columns), truth=truth
    )


def _cut_scene(scene: Scene, rows: slice, columns: slice) -> Scene:
    fine = (_fine(rows, scene.ratio), _fine(columns, scene.ratio))

    def cut(image: Tensor | None) -> Tensor | None:
        return None if image is None else image[..., fine[0], fine[1]]

    pan = cut(scene.pan)
    assert pan is not None
    return replace(
        scene,
        ms=scene.ms[:, rows, columns],
        pan=pan,
        gt=cut(scene.gt),
        valid=cut(scene.valid),
        geo=None,
    )


def _fine(coarse: slice, ratio: int) -> slice:
    return slice(coarse.start * ratio, coarse.stop * ratio)

"""Scenes and contenders of a benchmark: what is scored, and what is left out for which reason."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from fusiontrain.classical import METHODS, PLAIN, find_method_name
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import (
    REGISTERED,
    Contender,
    NetworkContender,
    classical,
    score,
)
from fusiontrain.evaluation.loaded_scenes import LoadedScene, SceneLoader
from fusiontrain.evaluation.protocols import full, known, reduced
from fusiontrain.evaluation.results import BenchmarkResults, LeftOut
from fusiontrain.fusion.sensor_model import Frame
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.scenes.gdal_environment import Source, name_of
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.scenes.raster import Nodata
from fusiontrain.scenes.scene import Scene
from shards.console import spoken_error
from shards.sensors import find_sensor

_OF_ALL = ModuleNotFoundError  # no scene is to blame: the command says which extra is missing


def classical_contenders(methods: str, *, registered: bool) -> list[Contender]:
    """The methods of "all", "plain", "none" or "GSA,sr-d"; case and hyphens are free.

    registered: also on a PAN registered to the MS. Raises: SceneError for a name given twice.
    """
    names = {"all": list(METHODS), "plain": list(PLAIN), "none": []}.get(methods.strip().casefold())
    if names is None:
        names = [name.strip() for name in methods.split(",") if name.strip()]
        if len({find_method_name(name) or name for name in names}) < len(names):
            raise SceneError(f"`methods` names one twice: {methods}")
    return classical(names) + (classical(names, registered=True) if registered else [])


def scene_entries(
    scenes: Sequence[Path],
    pan: Source | None,
    ms: Sequence[Source],
    sensor: str | None,
    nodata: Nodata = None,
) -> list[SceneEntry]:
    """The scenes of folders and files, and a pair of any names. Raises: SceneError."""
    if (pan is None) != (not ms) or not (scenes or ms):
        raise SceneError("give scenes, or `pan` and `ms` together, or both")
    entries = find_scenes(scenes, sensor=sensor, nodata=nodata) if scenes else []
    if pan is not None:
        row = None if sensor is None else find_sensor(sensor)
        name = Path(name_of(ms[0])).stem
        load = partial(read_scene, pan, ms, name=name, sensor=row, nodata=nodata)
        if any(entry.name == name for entry in entries):
            raise SceneError(f"two scenes are named {name}; score the pair by itself")
        entries.append(SceneEntry(name=name, load=load, pan=pan, ms=tuple(ms)))
    return entries


def load_scenes(
    entries: Sequence[SceneEntry], results: BenchmarkResults
) -> Iterator[LoadedScene | None]:
    """Each scene; None for one that cannot be read, which is left out with its reason."""
    loader = SceneLoader()
    for entry in entries:
        try:
            loaded = loader.load(entry)
        except _OF_ALL:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this scene alone
            _leave_out(results, entry.name, "any", error)
            yield None
        else:
            yield loaded


def cases_of(
    loaded: LoadedScene,
    protocols: Sequence[str],
    convention: GridPhase | None,
    softness: Mapping[str, float],
    results: BenchmarkResults,
    frame: Frame = "pan",
) -> Iterator[Case]:
    """The scene under each protocol that it is fit for; the others are left out, with a reason.

    softness: the mean of each sensor's real scenes, for those that are simulated.
    frame: of the results at full resolution.
    """
    scene: Scene | None = None
    for protocol in protocols:
        try:
            if scene is None:
                scene = loaded.entry.load()
            if protocol == "full":
                case = full(scene, convention=convention, pair=loaded.pair, frame=frame)
            elif protocol == "known":
                case = known(scene)
            else:
                # A simulated pair does not show its sensor's softness; the sensor's others do.
                mean = softness.get(scene.sensor.name) if loaded.simulated else None
                case = reduced(scene, same_sensor=mean, convention=convention, pair=loaded.pair)
        except _OF_ALL:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this case alone
            _leave_out(results, loaded.entry.name, protocol, error)
        else:
            yield case


def _leave_out(results: BenchmarkResults, scene: str, protocol: str, error: Exception) -> None:
    left_out = LeftOut(scene=scene, protocol=protocol, reason=spoken_error(error))
    results.left_out.append(left_out)


def full_caption(frame: Frame, networks: Sequence[NetworkContender]) -> str:
    """What the tables of full resolution are of: the frame, and what each network gives."""
    how = {
        "pan": "Frame pan: the MS is moved to PAN for every method and index",
        "ms": "Frame ms: the pair as it came; networks get a PAN moved to the MS",
    }[frame]
    targets = ", ".join(f"{network.name} {network.target}" for network in networks)
    return f"{how}." + (f" Target: {targets}." if targets else "")


def score_case(
    case: Case, contenders: Sequence[Contender], results: BenchmarkResults
) -> Iterator[Contender]:
    """Each contender once it is scored; one that fails is left out, with its reason."""
    try:
        recorder = results.record(case)
    except Exception as error:  # noqa: BLE001 - whatever it is, it costs this case alone
        _leave_out(results, case.name, case.protocol, error)
        return
    moved = case.protocol == "full" and case.sensor_model.frame == "pan"
    for contender in contenders:
        if moved and contender.name.endswith(REGISTERED):
            yield contender  # its twin without registration has the registered pair already
            continue
        protocol = f"{case.protocol}, {contender.name}"
        try:
            scored = list(score(case, [contender]))
            if not scored:
                raise SceneError("no other scene of its sensor to tune on")
            for result in scored:
                recorder.add(result)
        except _OF_ALL:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it costs this score alone
            _leave_out(results, case.name, protocol, error)
        yield contender
    if recorder.indices:
        recorder.close()

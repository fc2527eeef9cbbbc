"""Scenes in whatever is given: folders, h5 and mat files. They are read when asked for."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.scenes.layouts import SceneFiles, list_folder
from fusiontrain.scenes.scene import Scene
from shards.sensors import Sensor, find_sensor

ACCEPTED = (
    "expected a PanCollection .h5, a toolbox .mat, or a folder with X_pan.tif + X_ms.tif, "
    "X_PAN.tif + X_B1.tif..., Maxar, Landsat 8/9 or IKONOS files, or MS and PAN folders"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneEntry:
    """A scene that can be read. `pan` and `ms` are its GeoTIFFs, where it has them."""

    name: str
    load: Callable[[], Scene]
    pan: Path | None = None
    ms: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """An entry whose name is not yet known to differ from the others'."""

    name: str
    prefix: str  # tells it from another of its name
    read: Callable[..., Scene]  # wants name=
    pan: Path | None = None
    ms: tuple[Path, ...] = ()


def find_scenes(paths: Sequence[Path], *, sensor: str | None = None) -> list[SceneEntry]:
    """All scenes of all paths, in order, under names that differ. No pixel is read yet.

    `sensor` is a known name or a .toml file, and overrules what files say of themselves.
    Raises: SceneError naming the path and what is accepted; ContractError for an unknown sensor.
    """
    row = None if sensor is None else find_sensor(sensor)
    candidates: list[_Candidate] = []
    for path in paths:
        found = list(_in_folder(path, row) if path.is_dir() else _in_file(path, row))
        if not found:
            raise SceneError(f"{path} has no scene; {ACCEPTED}")
        candidates.extend(found)
    return _named_apart(candidates)


def _in_file(path: Path, sensor: Sensor | None) -> Iterator[_Candidate]:
    prefix = path.absolute().parent.name
    if not path.exists():
        raise SceneError(f"{path} does not exist; {ACCEPTED}")
    # Imported here, since only the extra "formats" has what these two need.
    match path.suffix.lower():
        case ".h5" | ".hdf5":
            from fusiontrain.scenes.pancollection import count_examples, read_example

            count = count_examples(path)
            for index in range(count):
                name = f"{path.stem}-{index:0{len(str(count - 1))}d}"
                read = partial(read_example, path, index, sensor=sensor)
                yield _Candidate(name=name, prefix=prefix, read=read)
        case ".mat":
            from fusiontrain.scenes.matlab import read_toolbox

            toolbox = partial(read_toolbox, path, root=path.parent, sensor=sensor)
            yield _Candidate(name=path.stem, prefix=prefix, read=toolbox)
        case _:
            raise SceneError(f"{path} is no file of scenes; {ACCEPTED}")


def _in_folder(root: Path, sensor: Sensor | None) -> Iterator[_Candidate]:
    listing = list_folder(root)
    empty = True
    for found in listing.pairs:
        empty = False
        yield _pair(found, _prefix(root, found.folder), sensor)
    for path in listing.loose:
        if _holds_scenes(path):
            empty = False
            for candidate in _in_file(path, sensor):
                yield replace(candidate, prefix=_prefix(root, path.parent))
    if empty and listing.incomplete:
        raise SceneError(f"{root}: {listing.incomplete[0]} but no PAN; {ACCEPTED}")


def _holds_scenes(path: Path) -> bool:
    """Other h5 and mat files may well lie beside scenes."""
    if path.suffix.lower() == ".mat":
        from fusiontrain.scenes.matlab import is_toolbox

        return is_toolbox(path)
    from fusiontrain.scenes.pancollection import is_pancollection

    return is_pancollection(path)


def _pair(found: SceneFiles, prefix: str, sensor: Sensor | None) -> _Candidate:
    if found.pan.suffix.lower() == ".mat":
        from fusiontrain.scenes.matlab import read_nbu

        nbu = partial(read_nbu, found.pan, found.ms[0], sensor=sensor or found.guess)
        return _Candidate(name=found.name, prefix=prefix, read=nbu)
    read = partial(
        read_scene,
        found.pan,
        found.ms,
        sensor=sensor,
        guess=found.guess,
        bands=found.bands,
        gt=found.gt,
        sidecar=found.sidecar,
    )
    return _Candidate(name=found.name, prefix=prefix, read=read, pan=found.pan, ms=found.ms)


def _prefix(root: Path, folder: Path) -> str:
    return "-".join(folder.relative_to(root).parts) or root.absolute().name


def _named_apart(candidates: list[_Candidate]) -> list[SceneEntry]:
    """A name that occurs twice gets its folder before it, and a number where that is too little."""
    often = Counter(candidate.name for candidate in candidates)
    entries: dict[str, SceneEntry] = {}
    for candidate in candidates:
        twice = often[candidate.name] > 1
        name = apart = f"{candidate.prefix}-{candidate.name}" if twice else candidate.name
        number = 2
        while apart in entries:
            apart, number = f"{name}-{number}", number + 1
        load = partial(candidate.read, name=apart)
        entries[apart] = SceneEntry(name=apart, load=load, pan=candidate.pan, ms=candidate.ms)
    return list(entries.values())

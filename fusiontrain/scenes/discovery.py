"""Scenes in folders, h5 and mat files; a scene is read when its entry is loaded."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import Source
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.scenes.layouts import SceneFiles, list_folder
from fusiontrain.scenes.named_files import check_no_special
from fusiontrain.scenes.raster import Nodata
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
    pan: Source | None = None
    ms: tuple[Source, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """An entry whose name may still be another's."""

    name: str
    prefix: str  # goes before the name where another scene has it too
    read: Callable[..., Scene]  # called with name=
    pan: Path | None = None
    ms: tuple[Path, ...] = ()


def find_scenes(
    paths: Sequence[Path], *, sensor: str | None = None, nodata: Nodata = None
) -> list[SceneEntry]:
    """All scenes of all paths, in order, under names that differ. No pixel is read yet.

    `sensor` is a known name or a .toml file, and overrules what files name. `nodata`: for
    GeoTIFFs, as open_pair takes it.
    Raises: SceneError naming the path and what is accepted; ContractError for an unknown sensor.
    """
    row = None if sensor is None else find_sensor(sensor)
    candidates: list[_Candidate] = []
    for path in paths:
        in_path = list(_in_folder(path, row, nodata) if path.is_dir() else _in_file(path, row))
        if not in_path:
            raise SceneError(f"{path} has no scene; {ACCEPTED}")
        candidates.extend(in_path)
    return _with_unique_names(candidates)


def _in_file(path: Path, sensor: Sensor | None) -> Iterator[_Candidate]:
    prefix = path.absolute().parent.name
    if not path.exists():
        raise SceneError(f"{path} does not exist; {ACCEPTED}")
    check_no_special(path)
    # Imported here, since only the extra "formats" has what these two need.
    match path.suffix.lower():
        case ".h5" | ".hdf5":
            from fusiontrain.scenes.pancollection import count_samples, read_sample

            count = count_samples(path)
            for index in range(count):
                name = f"{path.stem}-{index:0{len(str(count - 1))}d}"
                read = partial(read_sample, path, index, sensor=sensor)
                yield _Candidate(name=name, prefix=prefix, read=read)
        case ".mat":
            from fusiontrain.scenes.matlab import read_toolbox

            toolbox = partial(read_toolbox, path, root=path.parent, sensor=sensor)
            yield _Candidate(name=path.stem, prefix=prefix, read=toolbox)
        case _:
            raise SceneError(f"{path} is no file of scenes; {ACCEPTED}")


def _in_folder(root: Path, sensor: Sensor | None, nodata: Nodata) -> Iterator[_Candidate]:
    listing = list_folder(root)
    empty = True
    for files in listing.pairs:
        empty = False
        yield _pair(files, _prefix(root, files.folder), sensor, nodata)
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


def _pair(files: SceneFiles, prefix: str, sensor: Sensor | None, nodata: Nodata) -> _Candidate:
    if files.pan.suffix.lower() == ".mat":
        from fusiontrain.scenes.matlab import read_nbu

        nbu = partial(read_nbu, files.pan, files.ms[0], sensor=sensor or files.guess)
        return _Candidate(name=files.name, prefix=prefix, read=nbu)
    read = partial(
        read_scene,
        files.pan,
        files.ms,
        sensor=sensor,
        guess=files.guess,
        bands=files.bands,
        gt=files.gt,
        sidecar=files.sidecar,
        nodata=nodata,
    )
    return _Candidate(name=files.name, prefix=prefix, read=read, pan=files.pan, ms=files.ms)


def _prefix(root: Path, folder: Path) -> str:
    return "-".join(folder.relative_to(root).parts) or root.absolute().name


def _with_unique_names(candidates: list[_Candidate]) -> list[SceneEntry]:
    """A name that occurs twice gets its folder before it, and a number where that is too little."""
    counts = Counter(candidate.name for candidate in candidates)
    entries: dict[str, SceneEntry] = {}
    for candidate in candidates:
        twice = counts[candidate.name] > 1
        name = unique = f"{candidate.prefix}-{candidate.name}" if twice else candidate.name
        number = 2
        while unique in entries:
            unique, number = f"{name}-{number}", number + 1
        load = partial(candidate.read, name=unique)
        entries[unique] = SceneEntry(name=unique, load=load, pan=candidate.pan, ms=candidate.ms)
    return list(entries.values())

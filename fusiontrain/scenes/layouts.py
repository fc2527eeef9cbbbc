"""Files of a folder that make a scene, by their names alone.

Known layouts (case does not matter; .tiff as .tif; - or . as _):
- X_pan.tif + X_ms.tif, optionally X_gt.tif and X.json; so also Maxar's ID-pan.tif + ID-ms.tif
- one file a band: X_PAN.tif + X_B1.tif, X_B2.tif ... or X_blue.tif, X_green.tif ...
- IKONOS: po_1_pan_0.tif + po_1_blu_0.tif, _grn_, _red_, _nir_
- Landsat 8 and 9: LC08_..._B8.TIF + B1 to B7, or some of them
- two folders, MS or MS_256 and PAN or PAN_1024, of GeoTIFF or .mat files with equal names
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.metadata import guess_from_path
from shards.sensors import Sensor, match_sensor

MAX_DEPTH = 8  # folders in folders; Maxar's open data has four
_TIFF = (".tif", ".tiff")
_COLOURS = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir", "nir1", "nir2")
_ROLE = re.compile(
    rf"(?:(?P<key>.*)[-_.])?(?P<role>pan|ms|gt|b\d{{1,2}}|{'|'.join(_COLOURS)})", re.IGNORECASE
)
_IKONOS = re.compile(r"(po_\d+)_(blu|grn|red|nir|pan)_(\d+)", re.IGNORECASE)
_IKONOS_ROLE = {"blu": "blue", "grn": "green"}
_LANDSAT = re.compile(r"L[CO]0[89]_", re.IGNORECASE)
_LANDSAT_COLOURS = ("coastal", "blue", "green", "red", "nir", "swir", "swir")
_OLI = {f"b{number}": colour for number, colour in enumerate(_LANDSAT_COLOURS, 1)}
_LANDSAT_MS = tuple(_OLI)  # B9 sees cirrus; B10 and B11 heat, at 100 m
_TWO_FOLDERS = re.compile(r"(ms|pan)(?:_(\d+))?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneFiles:
    """Files of one scene. `ms` is one file, or one a band in the order of `bands`."""

    name: str
    folder: Path  # where it lies, for names that occur twice
    pan: Path
    ms: tuple[Path, ...]
    gt: Path | None = None
    sidecar: Path | None = None
    guess: Sensor | None = None
    bands: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # bands of the sensor that do not lie there


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Scenes of a folder and of those below it."""

    pairs: list[SceneFiles] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)  # .h5 and .mat files, not opened yet
    incomplete: list[str] = field(default_factory=list)  # what lacks a partner


def list_folder(root: Path) -> Listing:
    """Scenes in `root` and the folders below, in the order of their names.

    Hidden files, links to folders and whatever no layout knows are passed over.
    Raises: SceneError if a scene has a PAN and no MS, an MS and no PAN, or one file twice.
    """
    listing = Listing()
    for folder, files, subfolders in _walk(root):
        listing.pairs.extend(_two_folders(root, folder, subfolders))
        listing.loose.extend(f for f in files if f.suffix.lower() in (".h5", ".hdf5", ".mat"))
        for key, roles in _grouped(files).items():
            scene = _scene_of(root, folder, key, roles, files)
            if scene is not None:
                listing.pairs.append(scene)
            else:
                listing.incomplete.append(f"{key or folder.name} has {', '.join(sorted(roles))}")
    return listing


def _walk(root: Path, depth: int = 0) -> Iterator[tuple[Path, list[Path], list[Path]]]:
    """(folder, its files, its folders), from the top; pairs of MS and PAN folders not entered."""
    entries = sorted((p for p in root.iterdir() if not p.name.startswith(".")), key=_natural)
    subfolders = [p for p in entries if p.is_dir() and not p.is_symlink()]
    yield root, [p for p in entries if p.is_file()], subfolders
    paired = _pair_of_folders(subfolders) or ()
    for subfolder in subfolders if depth < MAX_DEPTH else ():
        if subfolder not in paired:
            yield from _walk(subfolder, depth + 1)


def _natural(path: Path) -> list[tuple[int, str]]:
    """So that 10.tif comes after 9.tif."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _grouped(files: list[Path]) -> dict[str, dict[str, Path]]:
    """TIFFs whose names have a role, by what comes before it: key -> role -> path."""
    groups: dict[str, dict[str, Path]] = {}
    for path in files:
        if path.suffix.lower() not in _TIFF:
            continue
        ikonos, plain = _IKONOS.fullmatch(path.stem), _ROLE.fullmatch(path.stem)
        if ikonos:
            short = ikonos[2].lower()
            key, role = f"{ikonos[1]}_{ikonos[3]}", _IKONOS_ROLE.get(short, short)
        elif plain:
            key, role = plain["key"] or "", plain["role"].lower()
        else:
            continue
        other = groups.setdefault(key, {}).setdefault(role, path)
        if other != path:
            raise SceneError(f"two files are the {role} of {key}: {other} and {path}; remove one")
    return groups


def _scene_of(
    root: Path, folder: Path, key: str, roles: dict[str, Path], files: list[Path]
) -> SceneFiles | None:
    """None where only bands lie, and no PAN."""
    bands: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    if _LANDSAT.match(key) and "b8" in roles and "pan" not in roles:
        there = [role for role in _LANDSAT_MS if role in roles]
        missing = tuple(role.upper() for role in _LANDSAT_MS if role not in roles)
        if not there:
            raise SceneError(f"{folder / key} has no MS band; expected B8 and some of B1 to B7")
        pan, ms = roles["b8"], tuple(roles[role] for role in there)
        bands = tuple(_OLI[role] for role in there) if missing else ()
    elif "pan" in roles and "ms" in roles:
        pan, ms = roles["pan"], (roles["ms"],)
    elif "pan" in roles:
        pan = roles["pan"]
        bands, ms = _single_bands(folder / key, roles)
    elif "ms" in roles:
        raise SceneError(f"{roles['ms']} has no partner; expected a PAN named alike beside it")
    else:
        return None
    sidecar = folder / f"{key}.json"
    named = match_sensor("IKONOS") if _IKONOS.fullmatch(pan.stem) else None
    return SceneFiles(
        name=key or folder.name,
        folder=folder,
        pan=pan,
        ms=ms,
        gt=roles.get("gt"),
        sidecar=sidecar if sidecar in files else None,
        guess=named or guess_from_path(folder / key if key else folder, root),
        bands=bands,
        missing=missing,
    )


def _single_bands(place: Path, roles: dict[str, Path]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """(colours where the names say them, files) in the order of sensors' rows."""
    numbers = sorted(int(role[1:]) for role in roles if re.fullmatch(r"b\d+", role))
    colours = tuple(colour for colour in _COLOURS if colour in roles)
    if numbers and colours:
        raise SceneError(f"{place} has bands by number and by colour; expected one or the other")
    if numbers:
        missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
        if missing:
            raise SceneError(f"{place} has no B{missing[0]}; expected B1 to B{numbers[-1]}")
        by_number = {
            int(role[1:]): path
            for role, path in roles.items()
            if role[0] == "b" and role[1:].isdecimal()
        }
        return (), tuple(by_number[number] for number in numbers)
    if not colours:
        raise SceneError(f"{roles['pan']} has no partner; expected an MS named alike beside it")
    return colours, tuple(roles[colour] for colour in colours)


def _pair_of_folders(subfolders: list[Path]) -> tuple[Path, Path] | None:
    """(MS, PAN); of several the one with the largest number."""
    best: dict[str, tuple[int, Path]] = {}
    for subfolder in subfolders:
        match = _TWO_FOLDERS.fullmatch(subfolder.name)
        if match:
            which, size = match[1].lower(), int(match[2] or 0)
            best[which] = max(best.get(which, (-1, subfolder)), (size, subfolder))
    return (best["ms"][1], best["pan"][1]) if len(best) == 2 else None


def _two_folders(root: Path, folder: Path, subfolders: list[Path]) -> Iterator[SceneFiles]:
    pair = _pair_of_folders(subfolders)
    if pair is None:
        return
    ms_files, pan_files = (_by_stem(subfolder) for subfolder in pair)
    unpaired = [
        str(ms_files.get(stem) or pan_files[stem]) for stem in ms_files.keys() ^ pan_files.keys()
    ]
    if unpaired:
        raise SceneError(
            f"{len(unpaired)} files of {pair[0]} and {pair[1]} have no partner of the same name, "
            f"as {min(unpaired)}: remove them or add it"
        )
    for stem, ms in ms_files.items():
        yield SceneFiles(
            name=stem,
            folder=folder,
            pan=pan_files[stem],
            ms=(ms,),
            guess=guess_from_path(folder / stem, root),
        )


def _by_stem(folder: Path) -> dict[str, Path]:
    files = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=_natural)
    return {p.stem: p for p in files if p.suffix.lower() in (*_TIFF, ".mat") and p.is_file()}

"""Pairs of files in a folder, each with the name of its output: `fuse FOLDER OUT_FOLDER`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.layouts import Listing, SceneFiles, list_folder
from shards.errors import OutputError

EXPECTED = (
    "expected X_pan.tif + X_ms.tif, X_PAN.tif + X_B1.tif..., Maxar, Landsat 8/9 or IKONOS files, "
    "or MS and PAN folders"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFiles:
    """One pair and where its result goes."""

    name: str
    pan: Path
    ms: tuple[Path, ...]
    out: Path


def list_pairs(folder: Path, out_folder: Path, suffix: str = ".tif") -> tuple[list[PairFiles], str]:
    """Every pair of `folder` and the folders below; and what was passed over, in words.

    The output of X is out_folder/X.tif; in a folder below, out_folder/BELOW/X.tif. No file is
    opened. Raises: SceneError if there is no pair, two have one output, or out_folder holds
    inputs or lies among them; OutputError if it is no folder or cannot be written into.
    """
    _check_folders(folder, out_folder)
    listing = list_folder(folder)
    files = [one for one in listing.pairs if one.pan.suffix.lower() != ".mat"]
    if not files:
        found = f"{listing.incomplete[0]} but no PAN; " if listing.incomplete else ""
        raise SceneError(f"{folder} has no pair: {found}{EXPECTED}")
    pairs = [
        PairFiles(
            name=str(one.folder.relative_to(folder) / one.name),
            pan=one.pan,
            ms=one.ms,
            out=out_folder / one.folder.relative_to(folder) / f"{one.name}{suffix}",
        )
        for one in files
    ]
    _check_outputs(pairs, files)
    return pairs, _passed_over(listing, files)


def _check_folders(folder: Path, out_folder: Path) -> None:
    if not folder.is_dir():
        raise SceneError(f"{folder} is no folder; expected one with pairs: {EXPECTED}")
    if out_folder.exists() and not out_folder.is_dir():
        raise OutputError(
            f"{out_folder} is no folder; {folder} is one, so give a folder to write to"
        )
    source, target = folder.resolve(), out_folder.resolve()
    if target == source or source in target.parents:
        raise SceneError(
            f"{out_folder} lies in {folder}, so results would be taken for scenes; give a folder "
            "outside it"
        )


def _check_outputs(pairs: Sequence[PairFiles], files: Sequence[SceneFiles]) -> None:
    """No two under one name, whatever the case: some disks have none."""
    first: dict[str, PairFiles] = {}
    for pair in pairs:
        other = first.setdefault(str(pair.out).casefold(), pair)
        if other is not pair:
            raise SceneError(
                f"two scenes would be written to {pair.out}: {other.pan} and {pair.pan}; rename one"
            )
    inputs = {path.resolve() for one in files for path in (one.pan, *one.ms)}
    for pair in pairs:
        if pair.out.resolve() in inputs:
            raise SceneError(f"the output {pair.out} is one of the inputs; give another folder")


def _passed_over(listing: Listing, files: Sequence[SceneFiles]) -> str:
    parts = []
    others = len(listing.loose) + len(listing.pairs) - len(files)
    if others:
        parts.append(f"{others} .mat and .h5 files (benchmark reads them)")
    parts += [f"{one.name} has no {', '.join(one.missing)}" for one in files if one.missing]
    if listing.incomplete:
        parts.append(f"{listing.incomplete[0]} but no PAN")
    return "; ".join(parts)

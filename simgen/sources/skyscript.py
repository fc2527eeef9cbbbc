"""SkyScript's published archives: images2.zip ... images7.zip and the lists of captions.

Facts from the dataset's README and image_sources.py (github.com/wangzhecheng/SkyScript): members
are images2/a198234555_CH_19.jpg (object, alias of the image collection, year); lists are CSVs
with the columns filepath, title, title_multi_objects. There is no column of similarity: the
lists top30pct and top50pct are how it is published. There is none of ground sampling distance
either: it is the collection's.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from simgen.errors import SourceError
from simgen.sources.filters import Condition, parse_condition
from simgen.sources.source import Source, SourceOptions
from simgen.sources.table import Table
from simgen.sources.tars import list_tar
from simgen.sources.zips import list_zip

LICENCE = (
    "SkyScript (captions and code MIT); images under the terms of the providers behind Google "
    "Earth Engine: NAIP, Brandenburg, Finland SMK, SWISSIMAGE, PNOA, SkySat, Sentinel-2, Landsat"
)
# Alias -> nominal metres a pixel, as the Earth Engine catalogue states them.
GSD = {
    "US": 1.0,  # USDA/NAIP/DOQQ: 1 m, 0.6 m in recent years
    "DE": 0.2,  # Germany/Brandenburg/orthos/20cm
    "FI": 0.5,  # Finland/SMK/V/50cm
    "CH": 0.1,  # ORTHO/Switzerland/SWISSIMAGE/10cm
    "ES": 0.1,  # Spain/PNOA/PNOA10
    "P3": 0.8,  # SKYSAT/GEN-A/PUBLIC/ORTHO/RGB
    "P5": 2.0,  # SKYSAT/GEN-A/PUBLIC/ORTHO/MULTISPECTRAL
    "S2": 10.0,  # COPERNICUS/S2_SR_HARMONIZED
    "L8": 30.0,  # LANDSAT/LC08/C02/T1_TOA
    "L9": 30.0,  # LANDSAT/LC09/C02/T1_TOA
}
_NAME = re.compile(r"[anw]\d+_([A-Z][A-Z0-9])_(\d\d)\.jpg")
_OWN = ("gsd", "source", "year")
_PATH = "filepath"


def open_skyscript(options: SourceOptions) -> Source:
    """The zips or tars in a folder (or one), filtered by gsd, source, year, list or its columns.

    Zips are as published; tars are WebDataset shards of the same images, whose names may have
    lost their folder.

    `filters` of `list==FILE.csv` keep what that list (beside the zips) names; with a list, any
    other condition may use a column of it.
    """
    options.refuse("skyscript", split=True)
    root = options.root
    if root is None or not root.exists():
        raise SourceError(
            f"no SkyScript archives at {root}\n"
            "  do: download images2.zip ... images7.zip (see the dataset's README) and give "
            "`root` their folder"
        )
    archives = [root] if root.is_file() else sorted(root.glob("images*.zip"))
    archives = archives or sorted(root.glob("*.tar"))
    if not archives:
        raise SourceError(f"no images2.zip ... images7.zip, and no tars, in {root.absolute()}")
    conditions = [parse_condition(text) for text in options.filters]
    tars = archives[0].suffix == ".tar"
    keep = _keeper(conditions, root if root.is_dir() else root.parent, bare=tars)
    table = Table()
    for path in archives:
        if tars:
            list_tar(table, path, keep)
        else:
            list_zip(table, path, keep)
    table.finish(contents=tars)  # a zip keeps checksums
    if not len(table):
        asked = " and ".join(map(str, conditions)) or "any"
        raise SourceError(
            f"no image in {', '.join(p.name for p in archives)} fits `filters={asked}`"
        )
    return Source(
        name="skyscript",
        licence=LICENCE,
        photos=table,
        digest=table.digest,
        rejected=tuple(table.rejected),
    )


def _keeper(conditions: Sequence[Condition], folder: Path, *, bare: bool) -> Callable[[str], bool]:
    """`bare`: names are compared without their folders."""
    own = [c for c in conditions if c.column in _OWN]
    lists = [c for c in conditions if c.column == "list"]
    columns = [c for c in conditions if c.column not in (*_OWN, "list")]
    if any(c.sign != "==" for c in lists) or len(lists) > 1:
        raise SourceError(
            "`filters=list` goes with == and one file; got " + " ".join(map(str, lists))
        )
    if columns and not lists:
        raise SourceError(
            f"`filters={columns[0]}`: {columns[0].column!r} is none of {', '.join(_OWN)}; "
            "for a column of a list, add `filters=list==FILE.csv`"
        )

    def base(name: str) -> str:
        return name.rpartition("/")[2] if bare else name

    rows = _rows(folder / lists[0].value, columns) if lists else ()
    listed = _marks(base(name) for name in rows) if lists else None

    def keep(name: str) -> bool:
        if own and not all(c.holds(_facts(name)) for c in own):
            return False
        if listed is None:
            return True
        mark = _mark(base(name))
        at = int(np.searchsorted(listed, mark))
        return at < listed.size and listed[at] == mark

    return keep


def _facts(name: str) -> dict[str, str]:
    """What a member's name says; empty if it is not named as the dataset names its images."""
    match = _NAME.fullmatch(name.rpartition("/")[2])
    if match is None:
        return {}
    alias, year = match.groups()
    facts = {"source": alias, "year": f"20{year}"}
    return facts | ({"gsd": str(GSD[alias])} if alias in GSD else {})


def _rows(path: Path, conditions: Sequence[Condition]) -> Iterator[str]:
    """The filepaths of the rows for which the conditions hold."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            missing = [c for c in (_PATH, *(c.column for c in conditions)) if c not in header]
            if missing:
                raise SourceError(
                    f"{path.name} has no column {missing[0]!r}; it has: {', '.join(header)}"
                )
            for row in rows:
                if row[_PATH] and all(c.holds(row) for c in conditions):
                    yield row[_PATH]
    except OSError as error:
        raise SourceError(f"cannot read the list {path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name} is no CSV in UTF-8: {error}") from error


def _marks(names: Iterable[str]) -> np.ndarray:
    """Five million names in 40 MB: 64 bits of each one's hash, sorted."""
    return np.sort(np.fromiter((_mark(name) for name in names), np.uint64))


def _mark(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()))

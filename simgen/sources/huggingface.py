"""An image column of a Hugging Face data set: on the Hub, or as `datasets` leaves it on disk."""

import re
from collections.abc import Sequence
from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.filters import parse_condition
from simgen.sources.hub import hub_urls
from simgen.sources.source import Source, SourceOptions, licence_beside

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_CHOICES = ("column", "config")


def open_huggingface(options: SourceOptions) -> Source:
    """Parquet files, a folder of them or of `save_to_disk`, or owner/name on the Hub.

    `filters` of `column==NAME` name the images' column where there are several, `config==NAME`
    the configuration of a data set on the Hub.
    """
    choices = _choices(options.filters)
    root, split = options.root, options.split
    if root is None:
        raise SourceError(
            "the huggingface source needs `root`: owner/name on the Hub, a folder of parquet "
            "files, or one that `save_to_disk` wrote"
        )
    if root.exists():
        if "config" in choices:
            raise SourceError(f"`filters=config` is of data sets on the Hub; {root} is on disk")
        urls = [str(path) for path in _on_disk(root, split)]
        licence = licence_beside(root)
    elif _REPOSITORY.fullmatch(str(root)):
        own = {"name": choices["config"]} if "config" in choices else {}
        urls = _parquet(str(root), hub_urls(str(root), split or "train", **own))
        licence = f"as {root} on the Hugging Face Hub states it"
    else:
        raise SourceError(f"nothing at {root.absolute()}, and no owner/name of the Hub")
    return _of_rows(urls, licence, choices.get("column"))


def _choices(filters: Sequence[str]) -> dict[str, str]:
    conditions = [parse_condition(text) for text in filters]
    for one in conditions:
        if one.column not in _CHOICES or one.sign != "==":
            raise SourceError(
                f"the huggingface source takes `filters` column==NAME and config==NAME; got {one}"
            )
    return {one.column: one.value for one in conditions}


def _on_disk(root: Path, split: str | None) -> list[Path]:
    if root.is_file():
        found = [root]
    elif (root / "dataset_dict.json").is_file():  # several splits, a folder each
        names = sorted(p.parent.name for p in root.glob("*/state.json"))
        if (split or "train") not in names:
            raise SourceError(f"{root} has the splits {', '.join(names)}; got `split={split}`")
        found = sorted((root / (split or "train")).glob("*.arrow"))
    elif split is None:
        found = sorted(root.glob("*.arrow")) or [
            *sorted(root.glob("*.parquet")),
            *sorted((root / "data").glob("*.parquet")),
        ]
    else:
        found = [p for f in (root, root / "data") for p in sorted(f.glob(f"{split}-*.parquet"))]
    if not found or {p.suffix for p in found} not in ({".arrow"}, {".parquet"}):
        wanted = f"{split}-*.parquet" if split else "*.parquet, or .arrow files of `save_to_disk`"
        raise SourceError(f"no data set at {root.absolute()}; expected {wanted}")
    return found


def _parquet(repository: str, urls: list[str]) -> list[str]:
    other = [url for url in urls if not url.endswith(".parquet")]
    if other:
        raise SourceError(
            f"{repository} holds {other[0].rpartition('/')[2]}, no parquet\n"
            "  do: copy its tars and use the tar source, or `save_to_disk` it"
        )
    return urls


def _of_rows(urls: Sequence[str], licence: str, column: str | None) -> Source:
    from simgen.sources.parquet import list_rows  # pyarrow loads only where it is needed

    rows, digest = list_rows(urls, column=column)
    if not len(rows):
        raise SourceError(f"no rows in {urls[0]}")
    return Source(
        name="huggingface",
        licence=licence,
        photos=rows,
        digest=digest,
        blocks=tuple(rows.blocks),
    )

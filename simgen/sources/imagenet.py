"""ImageNet-1k: streamed from Hugging Face, or on disk in any form in which it is distributed."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from shards.manifest import Rejected
from simgen.errors import SourceError
from simgen.sources.folder import list_folder
from simgen.sources.hub import hub_urls
from simgen.sources.source import Photo, Source, SourceOptions, digest_of
from simgen.sources.table import Table
from simgen.sources.tar_listing_cache import Member
from simgen.sources.tars import images_in, list_members, list_tar, opened, walk

REPOSITORY = "ILSVRC/imagenet-1k"
LICENCE = (
    "ImageNet: terms of access of image-net.org (non-commercial research and education); "
    "the images belong to their photographers; shards made from them come under the same terms"
)
_SPLITS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


def open_imagenet(options: SourceOptions) -> Source:
    """One split. Without a root: the Hub. A root holds class folders, parquet files or tars.

    Tars are the original ones, train of one tar a class, the others flat; or the tars of the
    classes themselves.
    """
    options.refuse("imagenet", filters=True)
    split = options.split or "train"
    if split not in _SPLITS:
        raise SourceError(f"ImageNet has the splits {', '.join(_SPLITS)}; got `split={split}`")
    if options.root is None:
        return _of_rows(hub_urls(REPOSITORY, split), split)
    return _on_disk(options.root, split)


def _on_disk(root: Path, split: str) -> Source:
    names = _SPLITS[split]
    if root.is_file() and root.suffix == ".tar":
        return _of_tars([root], split)
    if root.is_file() and root.suffix == ".parquet":
        return _of_rows([str(root)], split)
    if not root.is_dir():
        raise SourceError(
            f"no ImageNet at {root.absolute()}\n  do: point `root` at the folder that holds "
            "train/, train-*.parquet or ILSVRC2012_img_train.tar; without it, the Hub is asked"
        )
    folders = [root, root / "data"]
    files = [p for name in names for f in folders for p in sorted(f.glob(f"{name}-*.parquet"))]
    if files:
        return _of_rows([str(path) for path in files], split)
    tars = [p for name in names for p in sorted(root.glob(f"ILSVRC2012_img_{name}*.tar"))]
    tars = tars or [p for p in sorted(root.glob("n*.tar")) if re.fullmatch(r"n\d{8}", p.stem)]
    if tars:
        return _of_tars(tars, split)
    inner = [root / name for name in names if (root / name).is_dir()]
    if not inner and any((root / n).is_dir() for s in _SPLITS.values() for n in s):
        raise SourceError(f"{root.absolute()} has no split {split}; expected {names[-1]}/ in it")
    photos = list_folder(inner[0] if inner else root)
    return _source(photos, digest_of(photos), split)


def _of_rows(urls: Sequence[str], split: str) -> Source:
    from simgen.sources.parquet import list_rows  # pyarrow loads only where it is needed

    rows, digest = list_rows(urls)
    return _source(rows, digest, split, blocks=tuple(rows.blocks))


def _of_tars(paths: Sequence[Path], split: str) -> Source:
    table = Table()
    for path in paths:
        with opened(path) as file:
            size = path.stat().st_size
            first = next(walk(table, file, path, 0, size), None)
            nested = first is not None and first.name.endswith(".tar")
        if nested:
            list_members(table, path, _images_in_classes(table, path))
        else:
            list_tar(table, path)
    table.finish(contents=True)
    return _source(table, table.digest, split, rejected=tuple(table.rejected))


def _images_in_classes(table: Table, path: Path) -> Iterator[Member]:
    """A tar of tars: the inner ones are stretches of the outer, walked where they lie."""
    with opened(path) as outer, opened(path) as inner:
        for part in walk(table, outer, path, 0, path.stat().st_size):
            if part.name.endswith(".tar"):
                end = part.offset_data + part.size
                folder = f"{part.name.removesuffix('.tar')}/"
                yield from images_in(table, inner, path, part.offset_data, end, folder)


def _source(
    photos: Sequence[Photo],
    digest: str,
    split: str,
    *,
    blocks: tuple[int, ...] = (),
    rejected: tuple[Rejected, ...] = (),
) -> Source:
    if not len(photos):
        raise SourceError(f"no images in ImageNet's {split} split here")
    return Source(
        name=f"imagenet-{split}",
        licence=LICENCE,
        photos=photos,
        digest=digest,
        blocks=blocks,
        rejected=rejected,
    )

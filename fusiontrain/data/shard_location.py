"""Where shards are: a DIR or a URL, and a share of all batches."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.errors import TrainingError
from shards.cache import default_cache, local_copy
from shards.manifest import check_finished


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamSet:
    """A build to train on while it is read from a URL, and its share of all batches."""

    url: str
    share: float | None = None


def split_share(text: str) -> tuple[str, float | None]:
    """`imagenet:0.3` -> ("imagenet", 0.3). Raises: TrainingError for a share not above 0.

    A colon in a folder's name, before a URL's slashes or before its port is no share.
    """
    place, colon, share = text.rpartition(":")
    if not colon or Path(text).is_dir() or ("://" in text and "/" not in place.partition("://")[2]):
        return text, None
    try:
        value = float(share)
    except ValueError:
        return text, None
    if not 0 < value < float("inf"):
        raise TrainingError(f"a share must be above 0; got {share!r}")
    return place, value


def find_set(
    text: str, *, cache: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> ShardSet:
    """DIR[:SHARE] as it is; URL[:SHARE] copied first, to `cache` (default: the user's).

    Raises: TrainingError; SharingError, ContractError of what a URL holds.
    """
    place, share = split_share(text)
    if "://" not in place:
        return ShardSet(folder=Path(place), share=share)
    return ShardSet(folder=local_copy(place, cache or default_cache(), report=tell), share=share)


def find_stream(text: str) -> StreamSet:
    """URL[:SHARE], or DIR[:SHARE] as a file:// URL; nothing is copied.

    Raises: TrainingError; ContractError for a DIR that is no build.
    """
    place, share = split_share(text)
    if "://" in place:
        return StreamSet(url=place, share=share)
    check_finished(Path(place))
    return StreamSet(url=f"file://{Path(place).absolute()}", share=share)


def find_held(
    text: str, *, cache: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> Path:
    """DIR as it is; URL copied as by `find_set`. A build for validation takes no share.

    Raises: TrainingError; SharingError, ContractError of what a URL holds.
    """
    if split_share(text)[1] is not None:
        raise TrainingError(f"`validate` takes a DIR or a URL without a share; got {text!r}")
    return find_set(text, cache=cache, tell=tell).folder

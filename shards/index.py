"""The indexes other readers want beside a tar: DALI's `.idx` and a `wids` list.

Formats: DALI's wds2idx ("v1.2", then one line a sample of `extension offset size name`)
and wids' JSON, version 1.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shards.manifest import ShardRow

WIDS_NAME = "wids.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberSpan:
    """Where a member's bytes lie in the tar."""

    extension: str  # "gt.npy", ...
    offset: int
    size: int
    name: str


def dali_index(samples: Sequence[Sequence[MemberSpan]]) -> bytes:
    """Text for `fn.readers.webdataset(index_paths=...)`."""
    lines = [f"v1.2 {len(samples)}"]
    lines += [" ".join(f"{p.extension} {p.offset} {p.size} {p.name}" for p in s) for s in samples]
    return ("\n".join(lines) + "\n").encode("ascii")


def wids_index(name: str, rows: Iterable[ShardRow]) -> bytes:
    """JSON for `wids.ShardListDataset`."""
    shardlist = [{"url": r.name, "nsamples": r.samples, "filesize": r.bytes} for r in rows]
    document = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": name,
        "shardlist": shardlist,
    }
    return (json.dumps(document, indent=1) + "\n").encode()

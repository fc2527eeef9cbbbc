"""Check a build against its manifest, down to every sample."""

import hashlib
from pathlib import Path

import numpy as np

from shards.compression import ENDING
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.tar import read_samples


def verify(folder: Path) -> Manifest:
    """The manifest, once sizes, hashes, counts, keys and every sample are found to agree.

    Raises: ContractError naming the shard, what was expected and what was found.
    """
    manifest = Manifest.load(folder)
    manifest.check(folder)
    keys: list[np.ndarray] = []
    for row in manifest.shards:
        here: set[str] = set()
        for key, members in read_samples(folder / row.name):
            gt, _, _, facts = decode_sample(members, largest=manifest.largest_array(row))
            if (ENDING in "".join(members)) != bool(manifest.compression):
                raise ContractError(
                    f"{row.name}: {key} has {', '.join(members)}; the manifest's compression is "
                    f"{manifest.compression or 'none'}"
                )
            manifest.check_sample(row, key, gt.shape, facts.ratio)
            if key in here:
                raise ContractError(f"{row.name}: key {key} appears twice in this build")
            here.add(key)
        if len(here) != row.samples:
            raise ContractError(f"{row.name}: expected {row.samples} samples, got {len(here)}")
        keys.append(np.sort(np.fromiter(map(_short, here), np.uint64, len(here))))
    _refuse_repeats(folder, manifest, keys)
    return manifest


def _short(key: str) -> int:
    """8 bytes for a key: of the millions in a build, the words themselves would fill gigabytes."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())


def _refuse_repeats(folder: Path, manifest: Manifest, keys: list[np.ndarray]) -> None:
    """ContractError if two shards share a key: suspects by their short form, then by name."""
    every = np.sort(np.concatenate([np.empty(0, np.uint64), *keys]))
    suspects = set(every[1:][every[1:] == every[:-1]].tolist())
    if not suspects:
        return
    seen: set[str] = set()
    for row, short in zip(manifest.shards, keys, strict=True):
        if suspects.isdisjoint(short.tolist()):
            continue
        for key, _ in read_samples(folder / row.name):
            if key in seen:
                raise ContractError(f"{row.name}: key {key} appears twice in this build")
            if _short(key) in suspects:
                seen.add(key)

"""Is a build what its manifest says, down to every sample?"""

from pathlib import Path

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
    seen: set[str] = set()
    for row in manifest.shards:
        count = 0
        for key, members in read_samples(folder / row.name):
            gt, _, _, facts = decode_sample(members)
            manifest.check_sample(row, key, gt.shape, facts.ratio)
            if key in seen:
                raise ContractError(f"{row.name}: key {key} appears twice in this build")
            seen.add(key)
            count += 1
        if count != row.samples:
            raise ContractError(f"{row.name}: expected {row.samples} samples, got {count}")
    return manifest

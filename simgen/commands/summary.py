"""One line about a build."""

from collections import Counter

from shards.manifest import Manifest


def summary(manifest: Manifest) -> str:
    size = sum(row.bytes for row in manifest.shards) / 1e6
    of: Counter[int] = Counter()
    for row in manifest.shards:
        of[row.bands] += row.samples
    counts = "".join(f"{samples} of {bands} bands, " for bands, samples in sorted(of.items()))
    return (
        f"{manifest.samples} samples in {len(manifest.shards)} shards "
        f"({counts}{size:.0f} MB, recipe {manifest.recipe}), {len(manifest.rejected)} rejected"
    )

"""One line about a build."""

from shards.manifest import Manifest


def summary(manifest: Manifest) -> str:
    size = sum(row.bytes for row in manifest.shards) / 1e6
    return (
        f"{manifest.samples} samples in {len(manifest.shards)} shards "
        f"({size:.0f} MB, recipe {manifest.recipe}), {len(manifest.rejected)} rejected"
    )

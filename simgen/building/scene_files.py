"""A scene of known truth as files: NAME_pan.tif, NAME_ms.tif, NAME_gt.tif and NAME.json."""

import json
from pathlib import Path

from shards.atomic_write import whole_file
from simgen.building.known_scenes import RATIO, KnownScene
from simgen.recipes.known import known
from simgen.sources.raster import geotiff


def scene_files(folder: Path, name: str) -> dict[str, Path]:
    """The files of a scene by what they hold."""
    images = {what: folder / f"{name}_{what}.tif" for what in ("gt", "pan", "ms")}
    return images | {"facts": folder / f"{name}.json"}


def write_scene(folder: Path, scene: KnownScene, licence: str) -> None:
    """All four files, each whole; the MS last, without which no reader takes them for a scene.

    A PAN pixel has one metre in a made-up place: what the image's pixels are worth is not known.
    """
    paths = scene_files(folder, scene.name)
    gt, ms, pan = scene.arrays
    with whole_file(paths["facts"]) as file:
        file.write(_sidecar(scene, licence))
    for what, image, pixel in (("gt", gt, 1), ("pan", pan, 1), ("ms", ms, RATIO)):
        with whole_file(paths[what]) as file:
            file.write(geotiff(image, pixel))


def _sidecar(scene: KnownScene, licence: str) -> bytes:
    facts, tile = scene.facts, scene.tile
    recipe = known(tile=tile.side, reduction=tile.reduction)
    data = {
        "sensor": "generic",
        "ratio": facts.ratio,
        "bit_depth": facts.bits,
        "kind": "known truth: simulated, never to be trained on",
        "source": scene.source,
        "licence": licence,
        "window": [tile.row, tile.column, tile.side * tile.reduction, tile.side * tile.reduction],
        "reduction": tile.reduction,
        "recipe": recipe.name,
        "recipe_hash": recipe.digest,
        "mtf_ms": facts.mtf_ms,
        "mtf_pan": facts.mtf_pan,
        "softness": facts.softness,
    }
    if scene.bands:
        data["bands"] = scene.bands
    return (json.dumps(data, indent=1) + "\n").encode()

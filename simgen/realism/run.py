"""From folders to a table, JSON, Markdown and pictures."""

import json
from pathlib import Path

from shards.atomic_write import whole_file
from shards.manifest import Rejected
from simgen.errors import ConfigError
from simgen.realism.compare import Comparison, compare, measured
from simgen.realism.histograms import draw_histograms
from simgen.realism.pairs import open_builds, read_build, read_scenes
from simgen.realism.report import as_data, markdown


def run_realism(
    given: list[str], against: Path, *, limit: int | None = None
) -> tuple[Comparison, list[Rejected]]:
    """The comparison, and the scenes left out.

    given: NAME=FOLDER or FOLDER, builds of one ratio and tile. limit: samples of each at most.
    Raises: ConfigError, ContractError or SourceError saying what does not fit.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1; got {limit}")
    builds = open_builds(given)
    manifests = [manifest for _, manifest in builds.values()]
    tile, ratio = manifests[0].tile // manifests[0].ratio, manifests[0].ratio
    bands = tuple(sorted({row.bands for m in manifests for row in m.shards}))
    scenes, left_out = read_scenes(against, tile=tile, ratio=ratio, bands=bands)
    samples = {n: measured(read_build(f, m, limit)) for n, (f, m) in builds.items()}
    return compare(measured(scenes), samples), left_out


def write_report(found: Comparison, left_out: list[Rejected], out: Path) -> list[Path]:
    """realism.json, realism.md, realism.png and a picture a statistic; their paths."""
    out.mkdir(parents=True, exist_ok=True)
    data = as_data(found)
    data["real"]["left_out"] = {one.source: one.reason for one in left_out}
    texts = {
        "realism.json": json.dumps(data, indent=1, sort_keys=True) + "\n",
        "realism.md": "# Simulated samples beside real scenes\n\n" + markdown(found),
    }
    for name, text in texts.items():
        with whole_file(out / name) as file:
            file.write(text.encode())
    drawn = draw_histograms(found, out)
    return [out / name for name in (*texts, *drawn)]

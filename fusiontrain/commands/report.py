"""Write a page with pictures and indices: a simulated scene, and a real pair if one is given."""

from argparse import Namespace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fusiontrain.commands.choices import SHIPPED_WEIGHTS
from fusiontrain.errors import SceneError
from shards.atomic_write import check_folder
from shards.command_line import PlainFlags
from shards.console import print_result

if TYPE_CHECKING:
    from shards.schema import Facts

SIDE = 512  # PAN pixels of a picture: few scenes, so they may be large


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain report", description=__doc__)
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help=f"networks: {', '.join(SHIPPED_WEIGHTS)} or .safetensors files",
    )
    parser.add_argument(
        "--shards", type=Path, metavar="DIR", help="score on the first sample of this build"
    )
    parser.add_argument("--pan", metavar="FILE", help="score on a real pair, by Wald's protocol")
    parser.add_argument("--ms", metavar="FILE", help="the MS of the real pair")
    parser.add_argument(
        "--sensor",
        metavar="NAME|FILE.toml",
        help="sensor of the real pair (default: an MTF of 0.30 in all bands)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the page")
    return parser


def run(args: Namespace) -> int:
    if (args.pan is None) != (args.ms is None) or (args.pan is None and args.shards is None):
        raise SceneError("give `shards`, or `pan` and `ms` together, or all three")
    # Here, not above: torch and rasterio only after the flags are right.
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from fusiontrain.classical import METHODS
    from fusiontrain.data.shard_file import first_sample
    from fusiontrain.evaluation.contenders import classical, load_networks, score
    from fusiontrain.evaluation.protocols import reduced, simulated
    from fusiontrain.evaluation.results import FILES, BenchmarkResults
    from fusiontrain.evaluation.score_image import BETTER
    from fusiontrain.evaluation.tables import print_grid, scene_tables, score_grid
    from fusiontrain.scenes.geotiff import read_scene
    from shards.manifest import Manifest
    from shards.sensors import find_sensor

    check_folder(args.out, FILES)
    networks = list(load_networks(args.weights))
    args.out.mkdir(parents=True, exist_ok=True)  # early, so that a bad path fails fast
    cases = []
    if args.shards is not None:
        digest = Manifest.load(args.shards).digest
        trained_on = any(digest in net.info.training.get("manifests", ()) for net in networks)
        sample = first_sample(args.shards)
        case = simulated(sample, "simulated")
        cases.append((case, simulated_note(sample.facts, case.scene.bands, in_training=trained_on)))
    if args.pan is not None:
        row = find_sensor(args.sensor or "generic")
        scene = read_scene(args.pan, args.ms, name=Path(args.ms).stem, sensor=row)
        cases.append((reduced(scene), "A real scene; the MS is the truth."))
    facts = {net.name: net.description for net in networks}
    facts["versions"] = f"panprior {version('panprior')}, torch {torch.__version__}"
    contenders = [*classical(list(METHODS)), *networks]
    results = BenchmarkResults(
        folder=args.out, title="panprior: zero-shot pansharpening", facts=facts, side=SIDE
    )
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("scoring", total=len(contenders) * len(cases))
        for case, note in cases:
            recorder = results.record(case, note)
            for result in score(case, contenders):
                recorder.add(result)
                bar.advance(task)
            recorder.close()
    for table in scene_tables(results.rows, better=BETTER):
        print_grid(score_grid(table), Console())
    print_result(f"\nfusiontrain: wrote {results.write()[-1]}")
    return 0


def simulated_note(facts: "Facts", bands: int, *, in_training: bool) -> str:
    return (
        f"A simulated scene: {bands} bands, as {facts.sensor} would see {facts.source}. "
        "The truth is known. These shards were "
        + ("IN TRAINING: the figures flatter." if in_training else "not in training.")
    )

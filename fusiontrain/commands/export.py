"""Write the first sample of a build as GeoTIFFs: pan.tif, ms.tif and the truth, gt.tif."""

from argparse import Namespace
from pathlib import Path

from fusiontrain.errors import SceneError
from shards.atomic_write import check_folder
from shards.command_line import PlainFlags
from shards.console import print_result


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain export", description=__doc__)
    parser.add_argument("shards", type=Path, help="folder of a build")
    parser.add_argument("out", type=Path, help="folder for the three files")
    return parser


def run(args: Namespace) -> int:
    from fusiontrain.data.shard_file import first_sample
    from fusiontrain.scenes.writer import write_placed

    check_folder(args.out, ("pan.tif", "ms.tif", "gt.tif"))
    sample = first_sample(args.shards)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SceneError(f"cannot write to {args.out}: {error.strerror}") from error
    write_placed(args.out / "pan.tif", sample.pan, pixel=1)
    write_placed(args.out / "ms.tif", sample.ms, pixel=sample.facts.ratio)
    write_placed(args.out / "gt.tif", sample.truth, pixel=1)
    print_result(f"fusiontrain: wrote pan.tif, ms.tif and gt.tif in {args.out}")
    return 0

"""Write the first sample of a build as TIFFs: pan.tif, ms.tif and the truth, gt.tif.

A simulated sample lies nowhere, so the files have no coordinates: fuse --assume-aligned.
"""

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
    from fusiontrain.scenes.writer import write_unplaced

    check_folder(args.out, ("pan.tif", "ms.tif", "gt.tif"))
    sample = first_sample(args.shards)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SceneError(f"cannot write to {args.out}: {error.strerror}") from error
    for name, image in (("pan", sample.pan), ("ms", sample.ms), ("gt", sample.truth)):
        write_unplaced(args.out / f"{name}.tif", image)
    print_result(f"fusiontrain: wrote pan.tif, ms.tif and gt.tif in {args.out}")
    return 0

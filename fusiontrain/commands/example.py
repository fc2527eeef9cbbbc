"""Write a small real scene to try panprior on: WorldView-2, Rotterdam (CC BY-SA 4.0)."""

from argparse import Namespace
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.example_scene import FACTS, FOLDER, LICENCE, MS, PAN
from shards.atomic_write import check_folder, whole_file
from shards.command_line import PlainFlags
from shards.console import print_result


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain example", description=__doc__)
    parser.add_argument(
        "out", type=Path, nargs="?", default=Path("example"), help="folder (default: %(default)s)"
    )
    return parser


def run(args: Namespace) -> int:
    names = (PAN, MS, FACTS, LICENCE)
    check_folder(args.out, names)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in names:
            with whole_file(args.out / name) as file:
                file.write((FOLDER / name).read_bytes())
    except OSError as error:
        raise SceneError(f"cannot write to {args.out}: {error.strerror}") from error
    print_result(
        f"fusiontrain: wrote {', '.join(names)} in {args.out}\n"
        f"try: fusiontrain fuse {args.out / PAN} {args.out / MS} {args.out / 'fused.tif'} "
        f"--quicklook {args.out / 'fused.png'}"
    )
    return 0

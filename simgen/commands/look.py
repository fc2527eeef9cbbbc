"""simgen look: draw samples of a build onto one PNG, or every effect of a recipe."""

from argparse import Namespace
from pathlib import Path

from shards.atomic_write import check_folder, check_place, check_replaceable
from shards.command_line import PlainFlags
from shards.console import print_result
from simgen.errors import ConfigError


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="simgen look", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="FOLDER", help="a build; not needed by --gallery"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE.png", help="the picture (default: FOLDER/look.png)"
    )
    parser.add_argument("--samples", type=int, default=12, metavar="N", help="samples to draw")
    parser.add_argument(
        "--gallery", type=Path, metavar="DIR", help="draw every effect of a recipe into this folder"
    )
    return parser


def run(args: Namespace) -> int:
    from simgen.preview.contact_sheet import contact_sheet, draw_gallery

    if args.gallery is not None:
        check_folder(args.gallery)
        print_result(f"simgen: drew {len(draw_gallery(args.gallery))} panels into {args.gallery}")
        return 0
    if args.folder is None:
        raise ConfigError("look needs the FOLDER of a build, or `gallery`")
    out = args.out or args.folder / "look.png"
    if args.out is None:
        check_replaceable(out)
    else:
        check_place(out)
    contact_sheet(args.folder, out, count=args.samples)
    print_result(f"simgen: drew {out}")
    return 0

"""simgen known: scenes of known truth from images far sharper than the PAN that is simulated.

For `fusiontrain benchmark --protocol known`: PAN, MS and truth as GeoTIFFs, through sensors with
all faults, drawn once, by the image's name. No training may see these images.
"""

from argparse import Namespace
from pathlib import Path

from shards.atomic_write import check_folder
from shards.command_line import PlainFlags
from shards.console import print_result
from simgen.errors import BuildError, ConfigError


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="simgen known", description=__doc__)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder of images")
    parser.add_argument("out", type=Path, metavar="DIR", help="folder for the scenes")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many images")
    return parser


def run(args: Namespace) -> int:
    from simgen.building.known_scenes import Unusable, make_known_scenes
    from simgen.building.scene_files import scene_files, write_scene
    from simgen.sources.source import licence_beside

    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"`limit` must be at least 1; got {args.limit}")
    check_folder(args.out)
    made, left_out = 0, []
    for scene in make_known_scenes(args.source, limit=args.limit):
        if isinstance(scene, Unusable):
            left_out.append(scene)
            print_result(f"simgen: left out {scene.source}: {scene.reason}")
            continue
        args.out.mkdir(parents=True, exist_ok=True)
        check_folder(args.out, [p.name for p in scene_files(args.out, scene.name).values()])
        write_scene(args.out, scene, licence_beside(args.source))
        made += 1
    if not made:
        raise BuildError(f"no image of {args.source} gives a scene: {left_out[0].reason}")
    print_result(f"simgen: {made} scenes of known truth in {args.out}")
    return 0

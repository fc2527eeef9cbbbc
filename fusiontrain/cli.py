"""Train fusion networks on shards; fuse and judge scenes."""

import argparse
import importlib
import sys

from shards.console import run_command, set_up_logging

# Each door is a module with add_arguments(parser) and run(args); only the one asked for is
# imported, so that fusing needs neither accelerate nor webdataset.
DOORS = {
    "pretrain": "train a network on shards",
    "finetune": "tune a trained network on a sensor's shards, or on one scene",
    "publish": "a run's weights as one file and a model card",
    "fuse": "PAN and MS GeoTIFF -> fused GeoTIFF",
    "view": "PAN, MS and fused files side by side in a browser",
    "benchmark": "a network against classical methods on a real pair",
    "export": "a sample of a shard as GeoTIFFs",
    "report": "a page with pictures and indices",
}
MODULES = {"pretrain": "fusiontrain.pretrain"}  # a script of its own, for accelerate launch
EXTRAS = {  # which extra holds a package that the base install lacks
    "accelerate": "train",
    "huggingface_hub": "train",
    "webdataset": "train",
    "tensorboard": "train",
    "PIL": "train",
    "h5py": "formats",
    "scipy": "formats",
    "rio_tiler": "view",
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    name = argv[0] if argv and argv[0] in DOORS else ""
    set_up_logging("fusiontrain")
    return run_command("fusiontrain", lambda: _run(argv), name=name, extras=EXTRAS)


def _run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="fusiontrain", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="door", metavar="COMMAND")
    for name, summary in DOORS.items():
        asked = argv[:1] == [name]
        door = commands.add_parser(name, help=summary, add_help=asked)
        if asked:
            module = importlib.import_module(MODULES.get(name, f"fusiontrain.commands.{name}"))
            module.add_arguments(door)
            door.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    return int(args.run(args))

"""Train fusion networks on shards; fuse and evaluate scenes."""

import importlib
import sys
from types import ModuleType
from typing import Any

from fusiontrain.commands.entry import run_parsed
from shards.command_line import PlainFlags, ShowVersion
from shards.console import print_result, run_command, set_up_logging

# Each command is a module with make_parser() and run(args). Only the one that runs is imported,
# and torch and rasterio after its flags are right.
COMMANDS = {
    "pretrain": "train a network on shards",
    "finetune": "tune a trained network on a sensor's shards, or on one scene",
    "publish": "write a run's weights as one file and a model card",
    "fuse": "fuse PAN and MS GeoTIFFs into one",
    "view": "show PAN, MS and fused files side by side in a browser",
    "benchmark": "compare networks and classical methods on scenes",
    "export": "write a sample of a shard as GeoTIFFs",
    "report": "write a page with pictures and indices",
}
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
    if not argv or argv[0] not in COMMANDS:
        return _without_command(argv)

    def run() -> int:
        module = _module(argv[0])
        return run_parsed(module.make_parser(), module.run, argv[1:])

    set_up_logging("fusiontrain")
    return run_command("fusiontrain", run, name=argv[0], extras=EXTRAS)


def _module(command: str) -> ModuleType:
    # pretrain: a script of its own, for accelerate launch
    place = "fusiontrain" if command == "pretrain" else "fusiontrain.commands"
    return importlib.import_module(f"{place}.{command}")


def _without_command(argv: list[str]) -> int:
    parser = PlainFlags(prog="fusiontrain", description=__doc__)
    parser.add_argument("--version", action=ShowVersion)
    parser.add_argument(
        "--print-completion", choices=("bash", "zsh"), help="print a shell's completions, and stop"
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary)
    shell = parser.parse_args(argv).print_completion
    if shell is None:
        parser.error("a command is missing")
    print_result(_completion(parser, commands, shell))
    return 0


def _completion(parser: PlainFlags, commands: Any, shell: str) -> str:
    import shtab

    for name in COMMANDS:
        commands.choices[name] = _module(name).make_parser()
    return shtab.complete(parser, shell)

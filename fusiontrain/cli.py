"""Train fusion networks on shards; fuse and evaluate scenes."""

import importlib
from collections.abc import Sequence
from typing import NoReturn, cast

from shards.process_memory import keep_freed_memory
from shards.program import Command, end_process, run_program

# Each command is a module with make_parser() and run(args). Only the one that runs is imported,
# and torch and rasterio after its flags are right.
COMMANDS = {
    "pretrain": "train a network on shards",
    "finetune": "tune a trained network on a sensor's shards, or on one scene",
    "plot": "draw loss, validation and throughput of runs",
    "compare": "compare runs in a table",
    "publish": "write a run's weights as one file and a model card",
    "fuse": "fuse PAN and MS GeoTIFFs into one",
    "view": "show PAN, MS and fused files side by side in a browser",
    "benchmark": "compare networks and classical methods on scenes",
    "example": "write a small real scene to try the others on",
    "export": "write a sample of a shard as GeoTIFFs",
    "methods": "list the classical methods",
    "models": "list the networks",
    "sensors": "list the sensors",
}
EXTRAS = {  # which extra holds a package that the base install lacks
    "accelerate": "train",
    "huggingface_hub": "train",
    "webdataset": "train",
    "tensorboard": "train",
    "matplotlib": "train",
    "PIL": "train",
    "h5py": "formats",
    "scipy": "formats",
    "rio_tiler": "view",
}


def main(argv: Sequence[str] | None = None) -> int:
    keep_freed_memory()
    return run_program("fusiontrain", __doc__, COMMANDS, load, argv, extras=EXTRAS)


def run() -> NoReturn:
    """The program `fusiontrain`."""
    end_process(main())


def load(name: str) -> Command:
    """The module of a command."""
    # pretrain: a script of its own, for accelerate launch
    package = "fusiontrain" if name == "pretrain" else "fusiontrain.commands"
    return cast("Command", importlib.import_module(f"{package}.{name}"))

"""Simulate sensors: photographs in, shards of training samples out."""

import importlib
from collections.abc import Sequence
from typing import cast

from shards.program import Command, run_program

# Each command is a module of simgen.commands with make_parser() and run(args).
COMMANDS = {
    "build": "make shards; run again to resume",
    "status": "how far a build's tasks are; what to start again",
    "merge": "write the manifest of what an array's tasks built",
    "known": "make scenes of known truth of sharp images, for the benchmark",
    "verify": "check every shard against the manifest",
    "look": "draw samples onto one PNG",
    "realism": "compare samples with real scenes",
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_program("simgen", __doc__, COMMANDS, load, argv, extras={"*": "simgen"})


def load(name: str) -> Command:
    """The module of a command."""
    return cast("Command", importlib.import_module(f"simgen.commands.{name}"))

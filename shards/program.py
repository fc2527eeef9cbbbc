"""A program of several commands: its help, version, completion; a command's flags, then its run."""

import atexit
import logging
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

from shards.command_line import PlainFlags, ShowVersion, with_flags
from shards.console import PACKAGES, print_result, run_command, set_up_logging
from shards.errors import PanpriorError


class Command(Protocol):
    """A module or object of one command. make_parser() imports nothing heavy: --help is quick."""

    def make_parser(self) -> Any:
        """A PlainFlags, or a ConfigFlags with jsonargparse."""

    def run(self, args: Namespace) -> int:
        """The exit code."""


def run_program(
    program: str,
    description: str | None,
    summaries: Mapping[str, str],
    load: Callable[[str], Command],
    argv: Sequence[str] | None = None,
    *,
    extras: Mapping[str, str] | None = None,
) -> int:
    """Exit code of `program COMMAND ...`, of --help, --version or --print-completion.

    summaries: command -> what it does, one line. load: the command of that name, which is
    imported only if it runs. extras: as run_command takes them.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in summaries:
        return _without_command(program, description, summaries, load, argv)
    name, rest = argv[0], argv[1:]

    def run() -> int:
        if list(rest) == ["--version"]:
            return _without_command(program, description, summaries, load, rest)
        command = load(name)
        return run_parsed(command.make_parser(), command.run, rest)

    set_up_logging(program)
    return run_command(program, run, name=name, extras=extras)


def run_parsed(
    parser: PlainFlags, run: Callable[[Namespace], int], argv: Sequence[str] | None = None
) -> int:
    """Exit code of `run` with the parsed flags; None: those of the process.

    Raises: PanpriorError with flags in place of the library's parameters; log lines have them too.
    """
    args = parser.parse_args(argv)
    flags = parser.flags

    def name_flags(record: logging.LogRecord) -> bool:
        record.msg, record.args = with_flags(record.getMessage(), flags), ()
        return True

    handlers = {handler for name in PACKAGES for handler in logging.getLogger(name).handlers}
    for handler in handlers:
        handler.addFilter(name_flags)
    try:
        return run(args)
    except PanpriorError as error:
        error.args = (with_flags(str(error), flags),)
        raise
    finally:
        for handler in handlers:
            handler.removeFilter(name_flags)


def end_process(code: int) -> NoReturn:
    """End the process as sys.exit does, but for taking apart the modules it imported.

    That takes a third of a second of torch's. Where threads still run, or what was printed cannot
    be written out, it is left to Python.
    """
    if threading.active_count() > 1:
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)


def _without_command(
    program: str,
    description: str | None,
    summaries: Mapping[str, str],
    load: Callable[[str], Command],
    argv: Sequence[str],
) -> int:
    parser = PlainFlags(prog=program, description=description)
    parser.add_argument("--version", action=ShowVersion)
    parser.add_argument(
        "--print-completion", choices=("bash", "zsh"), help="print a shell's completions, and stop"
    )
    commands: Any = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, summary in summaries.items():
        commands.add_parser(name, help=summary)
    shell = parser.parse_args(argv).print_completion
    if shell is None:
        parser.error("a command is missing")
    import shtab  # third-party, so only where it is used

    for name in summaries:
        commands.choices[name] = load(name).make_parser()
    print_result(shtab.complete(parser, shell))
    return 0

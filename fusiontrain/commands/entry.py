"""How every command starts: flags first, then the work; errors name flags."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from shards.command_line import PlainFlags, with_flags
from shards.errors import PanpriorError


def run_parsed(
    parser: PlainFlags, run: Callable[[Namespace], int], argv: Sequence[str] | None = None
) -> int:
    """Exit code of `run` with the parsed flags; None: those of the process.

    Raises: PanpriorError with flags in place of the library's parameters.
    """
    args = parser.parse_args(argv)
    try:
        return run(args)
    except PanpriorError as error:
        error.args = (with_flags(str(error), parser.flags),)
        raise

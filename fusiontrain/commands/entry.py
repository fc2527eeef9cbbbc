"""How every command starts: flags first, then the work; errors and log lines name flags."""

import logging
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
    flags = parser.flags

    def name_flags(record: logging.LogRecord) -> bool:
        record.msg, record.args = with_flags(record.getMessage(), flags), ()
        return True

    for handler in logging.getLogger("fusiontrain").handlers:
        handler.addFilter(name_flags)
    try:
        return run(args)
    except PanpriorError as error:
        error.args = (with_flags(str(error), flags),)
        raise
    finally:
        for handler in logging.getLogger("fusiontrain").handlers:
            handler.removeFilter(name_flags)

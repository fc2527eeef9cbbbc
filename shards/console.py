"""What commands have in common: logging, results on standard output, errors as one line."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from shards.errors import PanpriorError, without_credentials

PACKAGES = ("shards", "simgen", "fusiontrain")
_HANDLER = "panprior"


def set_up_logging(program: str, *, quiet: bool = False) -> None:
    """Send log lines of our packages to standard error as `program: text`; quiet: warnings only.

    On a terminal they go through rich's handler where rich is installed. May be called again.
    """
    handler = _rich_handler() or logging.StreamHandler(sys.stderr)
    handler.name = _HANDLER
    handler.setFormatter(_Printable(f"{program}: %(message)s"))
    for package in PACKAGES:
        logger = logging.getLogger(package)
        for old in [h for h in logger.handlers if h.name == _HANDLER]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING if quiet else logging.INFO)


def _rich_handler() -> logging.Handler | None:
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.highlighter import NullHighlighter
        from rich.logging import RichHandler
    except ImportError:
        return None
    return RichHandler(
        console=Console(stderr=True),
        show_time=False,
        show_level=False,
        show_path=False,
        highlighter=NullHighlighter(),
    )


def printable(text: str) -> str:
    """The text with control characters as escapes, save line ends and tabs.

    Names of files and answers of servers may hold what steers a terminal, or no character. URLs
    are without user and password.
    """
    text = without_credentials(text)
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )


def one_line(text: object) -> str:
    """The text as one printable line, at most 300 characters: a library's own words in a message.

    What a library says of a damaged file may break lines, or repeat bytes of the file.
    """
    return " ".join(printable(str(text)).split())[:300]


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _ReaderGone(BaseException):
    """Whatever read standard output has ended. Not an Exception: no bad input is to blame."""


def print_result(text: str) -> None:
    """Write a command's own result (a table, JSON, a path) to standard output, at once."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        # what is still buffered would fail again, with a traceback, when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise _ReaderGone from None


def print_error(program: str, text: object) -> None:
    """Write an error to standard error as `program: text`."""
    print(printable(f"{program}: {text}"), file=sys.stderr, flush=True)


def spoken_error(error: Exception) -> str:
    """The message of an error of one input among several, after which the others go on.

    One that nobody foresaw is named by its type.
    """
    if isinstance(error, (PanpriorError, OSError)):
        return str(error)
    return (
        f"failed in a way that was not foreseen ({type(error).__name__}: {one_line(error)}); "
        "the others go on"
    )


def run_command(
    program: str,
    command: Callable[[], Any],
    *,
    name: str = "",
    extras: Mapping[str, str] | None = None,
) -> int:
    """Exit code of `command()`. Errors that a user can act on become one line, not a traceback.

    Exit codes: the command's own; an error's `code`, else 2.
    name:   of the subcommand, for the message about a missing package.
    extras: which extra of panprior installs a package ("*": any other).
    Raises: ModuleNotFoundError of a package that no extra installs.
    """
    try:
        return int(command())
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = (extras or {}).get(package, (extras or {}).get("*"))
        if extra is None:
            raise
        needed = f"{name} needs the package {package}, which" if name else error.name
        print_error(program, f"{needed} is not installed\n  do: pip install 'panprior[{extra}]'")
        return 2
    except KeyboardInterrupt:  # before the command listens: while its packages are imported
        print_error(program, "stopped by SIGINT; nothing was written")
        return 128 + signal.SIGINT
    except _ReaderGone:  # `| head` has what it wants; as programs end that SIGPIPE ends
        return 128 + signal.SIGPIPE
    except PanpriorError as error:
        print_error(program, error)
        return int(getattr(error, "code", 2))
    except OSError as error:  # of the disk or its permissions, not a bug
        print_error(program, f"{error.filename or 'disk'}: {error.strerror or error}")
        return 2

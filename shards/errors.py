"""Errors a user can act on. Commands print them in one line and exit with code 2."""

import re


def without_credentials(text: str) -> str:
    """The text, each URL in it without user and password: https://host/x of https://u:p@host/x."""
    return re.sub(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s?#'\"]*@", r"\1", text)


class PanpriorError(Exception):
    """Base of every error whose message suffices: expected, got, what to do.

    URLs in its message are without user and password.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_credentials(a) if isinstance(a, str) else a for a in args))


class ContractError(PanpriorError):
    """A shard, manifest or sample breaks the contract of CONTRACT.md."""


class SharingError(PanpriorError):
    """A build cannot be pulled, pushed or verified. Its message holds no credentials."""


class OutputError(PanpriorError):
    """What stands where an output is to be written may not be replaced."""

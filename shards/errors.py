"""Errors a user can act on. Commands print them in one line and exit with code 2."""


class PanpriorError(Exception):
    """Base of every error whose message suffices: expected, got, what to do."""


class ContractError(PanpriorError):
    """A shard, manifest or sample breaks the contract of CONTRACT.md."""


class SharingError(PanpriorError):
    """A build cannot be pulled, pushed or verified. Its message holds no credentials."""


class OutputError(PanpriorError):
    """What stands where an output is to be written may not be replaced."""

"""Errors of building shards, each with its remedy in the message."""

from shards.errors import PanpriorError


class ConfigError(PanpriorError):
    """A recipe or a build's options do not fit together."""


class DegradationError(PanpriorError):
    """Arrays or parameters given to the physics do not fit."""


class SourceError(PanpriorError):
    """A source of images is missing, empty or unreadable."""


class BuildError(PanpriorError):
    """A build cannot start, go on or finish."""


class BudgetSpent(BuildError):
    """More images were unusable than the build's budget allows."""

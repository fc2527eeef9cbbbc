"""What can go wrong in training and fusing, each with its remedy in the message."""

from shards.errors import PanpriorError


class UnknownModel(PanpriorError):
    """No model of that name."""


class CheckpointError(PanpriorError):
    """A file offered as weights is not one we can load safely."""


class SceneError(PanpriorError):
    """PAN and MS cannot be read, or do not belong together."""


class TrainingError(PanpriorError):
    """A run cannot start or must not go on."""


class ShapeError(PanpriorError):
    """Arrays given to a metric, method or model do not fit each other."""


class MetricError(PanpriorError):
    """An index would be no number, or one that misleads."""

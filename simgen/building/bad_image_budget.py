"""How many unusable images a build tolerates before it stops."""

from shards.tolerance import Tolerance
from simgen.errors import ConfigError

# A share means little over fewer images: one bad file among the first ten is not 10 %.
MIN_IMAGES = 200


def parse_budget(text: str | None) -> Tolerance:
    """`1%` of the images read so far, or a plain count; None: no limit. Raises: ConfigError."""
    if text is None:
        return Tolerance()
    try:
        return Tolerance.parse(text)
    except ValueError as error:
        raise ConfigError(
            f"`max_bad` takes a percentage like 1% or a count; got {text!r}"
        ) from error


def budget_spent(budget: Tolerance, *, images: int, bad: int, finished: bool) -> bool:
    """Whether `bad` of the `images` read so far are too many."""
    if budget.count is None and images < MIN_IMAGES and not finished:
        return False
    return budget.exceeded(count=bad, part=bad, whole=images)

"""How many unusable images a build bears before it stops."""

import re
from dataclasses import dataclass

from simgen.errors import ConfigError

# A share means little over fewer images: one bad file among the first ten is not 10 %.
MIN_SEEN = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class BadImageBudget:
    """At most one of the two; neither bears everything."""

    percent: float | None = None  # of the images seen so far
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> "BadImageBudget":
        """`1%` or `0.5%` of the images seen, or a plain count."""
        number = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip())
        if number is None or (not number[2] and "." in number[1]) or float(number[1]) > 1e12:
            raise ConfigError(f"--max-bad takes a percentage like 1% or a count; got {text!r}")
        if number[2]:
            return cls(percent=float(number[1]))
        return cls(count=int(number[1]))

    def exceeded(self, *, seen: int, bad: int, finished: bool) -> bool:
        if self.count is not None:
            return bad > self.count
        if self.percent is None or (seen < MIN_SEEN and not finished):
            return False
        return 100 * bad > self.percent * seen

    def __str__(self) -> str:
        if self.percent is not None:
            return f"{self.percent:g}%"
        return "no limit" if self.count is None else str(self.count)

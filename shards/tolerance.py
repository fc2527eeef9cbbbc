"""How much unusable input a command tolerates: a percentage, or a count."""

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(%?)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """At most `percent` of the whole, or at most `count` items; neither: no limit."""

    percent: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Tolerance":
        """`5%` or `0.5%`, or a plain count. Raises: ValueError."""
        number = _NUMBER.fullmatch(text.strip())
        if number is None or (not number[2] and "." in number[1]):
            raise ValueError(f"expected a percentage like 5% or a count; got {text!r}")
        if number[2]:
            return cls(percent=float(number[1]))
        return cls(count=int(number[1]))

    def exceeded(self, *, count: int, part: float, whole: float) -> bool:
        """Whether `count` bad items, which make up `part` of `whole`, are too many."""
        if self.count is not None:
            return count > self.count
        return self.percent is not None and 100 * part > self.percent * whole

    def __str__(self) -> str:
        if self.percent is not None:
            return f"{self.percent:g}%"
        return "no limit" if self.count is None else str(self.count)

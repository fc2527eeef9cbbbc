"""What a bench is to reach: printed below its figures, and its exit status."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure and its bound."""

    what: str
    reached: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """A figure that is not a number is none."""
        return self.reached <= self.bound if self.at_most else self.reached >= self.bound

    def __str__(self) -> str:
        sign, verdict = "<=" if self.at_most else ">=", "met" if self.met else "MISSED"
        return f"aim: {self.what} {sign} {self.bound:g}: {self.reached:.3g}, {verdict}"


def verdict(aims: Iterable[Aim]) -> int:
    """Print each aim; 1 where one is missed."""
    aims = list(aims)
    for aim in aims:
        print(aim, flush=True)
    return 0 if all(aim.met for aim in aims) else 1


def named_aims(part: str, figures: dict[str, Any]) -> list[Aim]:
    """Figures whose name ends in (aim N); of those "at most", N is the most."""
    found = []
    for name, value in figures.items():
        what, _, bound = name.rstrip(")").partition(" (aim ")
        if bound:
            found.append(Aim(f"{part}: {what}", value, float(bound), at_most="at most" in what))
    return found


def reader_aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Of whole samples in one process, and of two processes that train."""
    for name, row in figures.items():
        if name.startswith("tiles: ours"):
            yield Aim(f"{name}, times plain webdataset", row["x webdataset"], 3)
            yield Aim(f"{name}, of a memcpy", row["x memcpy"], 0.5)
    one, two = (f"training: {name}" for name in ("one process", "two processes, gloo"))
    if one in figures:
        reached = figures.get(two, math.nan) / figures[one]
        yield Aim("two processes' crops/s over one's", reached, 1.7)

"""Conditions on the metadata of images, such as "gsd<=1"."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simgen.errors import SourceError

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_GRAMMAR = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|==|!=|<|>)\s*(\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """COLUMN OPERATOR VALUE."""

    column: str
    sign: str
    value: str

    def holds(self, facts: Mapping[str, str]) -> bool:
        """Compared as numbers where both are; an image that lacks the column fails.

        Raises: SourceError if words are put in order by < or >.
        """
        found = facts.get(self.column, "")
        if not found:
            return False
        left, right = _number(found), _number(self.value)
        if left is not None and right is not None:
            return _OPERATORS[self.sign](left, right)
        if self.sign not in ("==", "!="):
            raise SourceError(
                f"`filters={self}`: {found!r} and {self.value!r} are not two numbers; use == or !="
            )
        return _OPERATORS[self.sign](found, self.value)

    def __str__(self) -> str:
        return f"{self.column}{self.sign}{self.value}"


def parse_condition(text: str) -> Condition:
    """Raises: SourceError on anything else than COLUMN OPERATOR VALUE."""
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        raise SourceError(
            f"`filters={text}` is no condition; expected a column, one of "
            f"{' '.join(_OPERATORS)} and a value, such as 'gsd<=1'"
        )
    return Condition(*match.groups())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

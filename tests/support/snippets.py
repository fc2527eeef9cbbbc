"""Fenced blocks of the documentation, and the commands in them.

A block may follow a comment that says how it is tried:

    <!-- not run: REASON -->      its commands are parsed by their own parsers
    ```toml title="my.toml"       it is a file that later blocks of the page use
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(
    r"(?:<!-- (?P<mark>[a-z ]+): (?P<reason>.+?) -->\n)?"
    r"```(?P<language>\w*)[ ]*(?:title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARKS = {None, "not run"}


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    title: str | None  # the file that it is
    runs: bool


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order. Raises: ValueError for a comment of another form."""
    found = []
    for match in _FENCE.finditer(page.read_text()):
        if match["mark"] not in MARKS:
            raise ValueError(f"{page}: {match['mark']!r} is no mark of a block")
        found.append(Block(match["language"], match["text"], match["title"], match["mark"] is None))
    return found


def commands(text: str) -> list[list[str]]:
    """The commands of a shell block as words, without comments, prompts and environments."""
    joined = text.replace("\\\n", " ")
    parts = [part for line in joined.splitlines() for part in _split(line)]
    return [part for part in parts if part]


def _split(line: str) -> list[list[str]]:
    """Commands between && and |; the last word is ">FILE" where one is written to."""
    found: list[list[str]] = [[]]
    words = iter(shlex.split(line, comments=True))
    for word in words:
        if word in ("&&", "|", ";"):
            found.append([])
        elif word == ">":
            found[-1].append(f">{next(words)}")
        else:
            found[-1].append(word)
    return [_without_environment(words) for words in found]


def _without_environment(words: list[str]) -> list[str]:
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words

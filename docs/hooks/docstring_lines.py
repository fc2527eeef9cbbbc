"""Extension of griffe: "Shapes:", "Raises:" and the like begin paragraphs of their own."""

import re
from typing import Any

import griffe

_HEADS = "Shapes|Units|Raises|Source|Border|Nodata|Zero pixels"
_LINE = re.compile(rf"\n[ ]*({_HEADS}): +(?=\S)")


class DocstringLines(griffe.Extension):
    """Markdown of our docstrings, which are plain text."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Changes the text of one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _LINE.sub(r"\n\n**\1**: ", obj.docstring.value)

"""XML of products, as a tree of plain tags: no document type, no entity, bounded in size and depth.

A document type is where entities are declared: expat then reads other files or expands without end.
"""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

from fusiontrain.errors import SceneError

LARGEST = 2**26  # bytes of a metadata file; Sentinel-2's have some 60 kB, DIMAP's up to 20 MB
_DEEPEST = 64
_MOST_ELEMENTS = 2_000_000


class _Refused(Exception):
    """What is well formed and still not read."""


def parse_xml(data: bytes, name: str) -> ET.Element:
    """The root; namespaces are left out of its tags. Raises: SceneError naming the file."""
    builder, depth, count = ET.TreeBuilder(), 0, 0

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _DEEPEST or count > _MOST_ELEMENTS:
            raise _Refused(f"more than {_DEEPEST} levels or {_MOST_ELEMENTS} elements")
        builder.start(tag.rpartition("}")[2], attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag.rpartition("}")[2])

    def doctype(*_: Any) -> None:
        raise _Refused("a document type")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
        root = builder.close()
    except _Refused as refused:
        raise SceneError(
            f"{name} has {refused}; expected plain XML, as the product came: download it again"
        ) from None
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise SceneError(f"cannot read {name}: {error}: download the product again") from error
    assert root is not None
    return root


def text_of(root: ET.Element, tag: str) -> str | None:
    """Of the first element of that name."""
    found = next(root.iter(tag), None)
    return None if found is None or found.text is None else found.text.strip() or None


def texts_of(root: ET.Element, tag: str) -> Iterator[str]:
    for element in root.iter(tag):
        if element.text and element.text.strip():
            yield element.text.strip()


def special_values(root: ET.Element) -> dict[str, str]:
    """NODATA, SATURATED, ... -> the DN, as Sentinel-2's and Airbus' metadata list them."""
    found: dict[str, str] = {}
    for element in root.iter():
        name = element.findtext("SPECIAL_VALUE_TEXT")
        value = element.findtext("SPECIAL_VALUE_INDEX") or element.findtext("SPECIAL_VALUE_COUNT")
        if name and value:
            found[name.strip()] = value.strip()
    return found


def leaves(root: ET.Element) -> dict[str, str]:
    """Tag -> text of the first element of each name that holds text alone."""
    found: dict[str, str] = {}
    for element in root.iter():
        if not len(element) and element.text and element.text.strip():
            found.setdefault(element.tag, element.text.strip())
    return found


def number(text: str | None, what: str, name: str) -> float:
    """Raises: SceneError unless it is a finite number."""
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if abs(value) < float("inf"):
        return value
    raise SceneError(f"{name}: {what} is {text!r}; expected a number: download the product again")

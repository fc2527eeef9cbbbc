"""Damage of JSON, TOML, XML and plain text, by structure. (rng, text or value) -> what is left."""

import json
import re
from random import Random
from typing import Any

from tests.fuzz.byte_mutations import mutate as mutate_bytes

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 10**400, -(10**15), 0.5, 1e308,
    -1e-320,
    float("nan"), float("inf"), "", "x", "\0", "a\0b", "../../x", "/etc/passwd", "\x1b]0;title\x07",
    "\ud800", "é" * 40, "9" * 5000, "http://127.0.0.1:1/x", [], {}, [[]], [None], {"": None},
    ["a", 1], {"a": {"b": []}},
)  # fmt: skip


def deep(rng: Random) -> Any:
    """Lists or tables within each other."""
    value: Any = 0
    for _ in range(rng.choice((40, 70, 400, 3000))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if len(path) > 20:  # an earlier change's nest
        return found
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:40]):
            found += _places(inner, (*path, index))
    return found


def mutate_value(rng: Random, value: Any) -> tuple[Any, str]:
    """One change of a value of JSON: a type swapped, a key gone or new, a list longer, ...

    The value is changed in place.
    """
    places = [place for place in _places(value) if place]
    if not places or rng.random() < 0.03:
        other = rng.choice(STRANGE)
        return other, f"the whole is {str(other)[:20]!r}"
    *way, last = rng.choice(places)
    holder = value
    for step in way:
        holder = holder[step]
    where = "/".join(map(str, (*way, last)))
    match rng.randrange(7):
        case 0 | 1 | 2:
            holder[last] = rng.choice(STRANGE)
            what = str(holder[last])[:20]
        case 3:
            del holder[last]
            what = "removed"
        case 4 if isinstance(holder, dict):
            holder[rng.choice(("strange", "", "\0", "__class__", "a" * 300))] = holder[last]
            what = "under another name too"
        case 5 if isinstance(holder[last], (int, float)) and not isinstance(holder[last], bool):
            holder[last] = holder[last] * rng.choice((-1, 0, 2, 1000, 1 << 40)) + rng.choice((0, 1))
            what = str(holder[last])[:20]
        case 6 if isinstance(holder[last], list):
            holder[last] = holder[last] * rng.choice((2, 50))
            what = "repeated"
        case _:
            holder[last] = deep(rng)
            what = "nested deep"
    return value, f"{where}: {what}"


def mutate_json(rng: Random, data: bytes) -> tuple[bytes, str]:
    """By structure, or by its bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(rng, data)
    value, what = json.loads(data), []
    for _ in range(rng.choice((1, 1, 2, 3))):
        value, one = mutate_value(rng, value)
        what.append(one)
    return dump(value), "; ".join(what)


def dump(value: Any) -> bytes:
    """JSON of any value, of lone surrogates and of what is nested too deep for json's writer."""
    try:
        return json.dumps(value, indent=1).encode("utf-8", "surrogatepass")
    except RecursionError:
        return b"[" * 3000 + b"]" * 3000


def mutate_toml(rng: Random, data: bytes) -> tuple[bytes, str]:
    """A line of `key = value` changed, doubled or gone; or by its bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(rng, data)
    lines = data.decode().splitlines()
    number = rng.randrange(len(lines))
    key, sign, _ = lines[number].partition("=")
    match rng.randrange(5):
        case 0:
            del lines[number]
        case 1:
            lines.insert(number, lines[number])
        case 2:
            lines[number] = f"strange{sign or '='} 1"
        case 3:
            lines[number] = f"{key}= " + "[" * rng.choice((2, 80, 3000))
        case _:
            value = rng.choice(STRANGE)
            lines[number] = f"{key}= {_toml(value)}"
    return "\n".join(lines).encode(
        "utf-8", "surrogatepass"
    ), f"line {number}: {lines[number : number + 1]}"[:90]


def _toml(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    if value is None:
        return "1979-05-27T07:32:00Z"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{k}" = {_toml(v)}' for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str) and "\ud800" in value:
        return '"\\ud800"'
    return json.dumps(value) if not isinstance(value, bool) else str(value).lower()


def mutate_text(rng: Random, data: bytes, names: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """Numbers, quoted words and elements of XML, a world file or a header; `names`: to put in."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    text = data.decode("latin-1")
    form = rng.choice((r"-?\d+\.?\d*(?:[eE][+-]?\d+)?", r"\"[^\"]*\"", r">[^<>]+<", r"\w+"))
    found = list(re.finditer(form, text))
    if not found:
        return mutate_bytes(rng, data)
    one = rng.choice(found)
    new = rng.choice(
        ("nan", "inf", "-1", "0", "1e400", "1e-300", "99999999999", "2147483648", "", "\0", "%s%n",
         "&lt;a&gt;", "<a>", "<![CDATA[", "\xff\xfe", "A" * 5000, *names, *names)
    )  # fmt: skip
    if one[0][0] in '">':
        new = one[0][0] + new + one[0][-1]
    if rng.random() < 0.1:
        new = one[0] * rng.choice((2, 300))
    text = text[: one.start()] + new + text[one.end() :]
    return text.encode("latin-1"), f"{one[0][:20]!r} -> {new[:40]!r}"

"""Pages of tables made of the code's own: values of recipes, rows of sensors, methods."""

import inspect
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from fusiontrain.classical import PLAIN
from shards.sensors import SENSORS
from simgen.effects import GROUPS
from simgen.recipes import RECIPES

_RECIPES_SAY = """\
Ranges that each recipe draws from, in PAN pixels and shares of full scale; a chance of 0
is off. What the effects do: [recipes](recipes.md), [pictures](../gallery/README.md)."""
_SENSORS_SAY = """\
Gains at the Nyquist frequency. Sensors that are not here are fused as well: `fuse`
estimates the MTF. [Own sensor](../guides/own-sensor.md)."""
_METHODS_SAY = """\
Each but EXP also as `NAME-soft`, on a PAN blurred to the MS's softness. CS: component
substitution; MRA: multiresolution analysis."""
SHOWN = ("paper", "sensor", "sensor-clean", "sensor-quiet", "scene", "scene-soft")


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown."""
    return {
        "reference/recipe-values.md": _recipe_values(),
        "reference/sensors.md": _sensors(),
        "reference/methods.md": _methods(),
    }


def _recipe_values() -> str:
    parts = [
        "# Values of recipes",
        _RECIPES_SAY,
    ]
    recipes = [RECIPES[name]() for name in SHOWN]
    for name, group in GROUPS.items():
        purposes = _comments(inspect.getsource(group))
        rows = [
            [
                f"`{field.name}`",
                purposes.get(field.name, ""),
                *(_value(getattr(getattr(recipe, name), field.name)) for recipe in recipes),
            ]
            for field in fields(group)  # type: ignore[arg-type]
        ]
        parts += [
            f"## {name.capitalize()}",
            _first_line(group),
            _table(["field", "", *SHOWN], rows),
        ]
    return "\n\n".join(parts)


def _sensors() -> str:
    rows = [
        [
            row.name,
            ", ".join(row.bands),
            row.ratio,
            row.bits,
            " ".join(f"{gain:.2f}" for gain in row.mtf_ms),
            f"{row.mtf_pan:.2f}",
            row.source,
            ", ".join(row.aliases),
        ]
        for row in SENSORS.values()
    ]
    heads = ["name", "bands", "ratio", "bits", "MTF of MS", "of PAN", "source", "other names"]
    return "\n\n".join(
        [
            "# Sensors",
            _SENSORS_SAY,
            _table(heads, rows),
        ]
    )


def _methods() -> str:
    rows = [
        [name, m.family, _first_line(m.formula), _source(m.formula)] for name, m in PLAIN.items()
    ]
    return "\n\n".join(
        [
            "# Classical methods",
            _METHODS_SAY,
            _table(["name", "family", "what", "source"], rows),
        ]
    )


def _comments(source: str) -> dict[str, str]:
    """Field -> the comment behind it."""
    return dict(re.findall(r"^    (\w+): .*?#\s*(.+)$", source, re.MULTILINE))


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        if len(value) == 2 and all(isinstance(v, float) for v in value):
            low, high = (f"{v:g}" for v in value)
            return low if low == high else f"{low} to {high}"
        return ", ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _source(thing: Any) -> str:
    found = re.search(r"Source: (.*?)(?:\n\n|\Z)", inspect.getdoc(thing) or "", re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def _table(heads: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "&#124;")

"""Jinja2 templates of this package. Every value is escaped unless it is Markup already."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: Any) -> Markup:
    """HTML of a template, by its path below this package: "tables/table.html"."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - escaped


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fusiontrain.evaluation", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Compact, in the order given; NaN is an error, since JSON has none.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return environment

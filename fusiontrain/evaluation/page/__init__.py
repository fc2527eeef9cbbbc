"""The benchmark as one HTML file: comparison, error maps, bars, tables. Nothing from the network.

The pictures of each view are one JSON block: a browser parses a block when its view is chosen,
and decodes the two pictures that are shown.
"""

import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.colormap import FULL_SCALE, SCALE_NOTE, as_css
from fusiontrain.evaluation.tables import PROTOCOLS, Directions, kind_of
from fusiontrain.evaluation.templates import render
from shards.atomic_write import whole_file


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One scene under one protocol, as the page shows it."""

    scene: str
    sensor: str
    protocol: str  # of PROTOCOLS
    note: str
    pictures: dict[str, bytes]  # caption -> WebP; methods by name, besides "PAN", "MS", "truth"
    errors: dict[str, bytes]  # method -> WebP of its error map; empty at full resolution
    indices: dict[str, dict[str, float]]  # method -> index -> value; missing or NaN: a dash
    origins: dict[str, str]  # method -> "" (measured here) or the source of a published number

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            known = ", ".join(PROTOCOLS)
            raise SceneError(f"protocol must be one of {known}; got {self.protocol!r}")
        if len(self.pictures) < 2:
            raise SceneError(
                f"{self.scene}, {self.protocol}: a comparison needs two pictures; "
                f"got {len(self.pictures)}"
            )
        for caption, data in (*self.pictures.items(), *self.errors.items()):
            if (data[:4], data[8:12]) != (b"RIFF", b"WEBP"):
                raise SceneError(
                    f"{self.scene}, {self.protocol}: the picture of {caption} must be a WebP; "
                    f"it begins with {data[:12]!r}"
                )


def write_page(
    path: Path,
    *,
    title: str,
    facts: dict[str, str],
    views: Sequence[View],
    better: Directions,
    tables: Sequence[tuple[str, Markup]],
) -> None:
    """Write everything into the one file `path`; `tables` are (heading, HTML of our templates).

    Raises: SceneError without views, or if two show one scene under one protocol.
    """
    names = [(view.scene, view.protocol) for view in views]
    if not names or len(set(names)) < len(names):
        raise SceneError(f"a page needs views, each of another scene or protocol; got {names}")
    style = f":root {{ --ramp: {as_css()}; }}\n{_part('page.css')}"
    scripts = [_part("compare.js"), _part("page.js")]
    html = render(
        "page/page.html",
        policy=_policy(style, scripts),
        title=title,
        # Our own files, as they are: the policy names them by their hashes.
        style=Markup(style),  # noqa: S704
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        facts=facts,
        scale_note=SCALE_NOTE,
        full_scale=f"{FULL_SCALE:g}",
        tables=tables,
        data=list(_blocks(views, better)),
    )
    with whole_file(path) as file:
        file.write(html.encode())


def _part(name: str) -> str:
    return files("fusiontrain.evaluation.page").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Content security policy: our style and scripts by their hashes, pictures as data."""
    hashes = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {hashes}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _blocks(views: Sequence[View], better: Directions) -> Iterator[tuple[str, dict[str, object]]]:
    """(id, value) of the page's JSON: the pictures of each view, then what the views are."""
    listed = []
    for number, view in enumerate(views):
        listed.append(
            {
                "scene": view.scene,
                "sensor": view.sensor,
                "protocol": view.protocol,
                "note": view.note,
                "captions": list(view.pictures),
                "indices": {method: _finite(v) for method, v in view.indices.items()},
                "origins": {method: source for method, source in view.origins.items() if source},
            }
        )
        yield (
            f"pictures-{number}",
            {"pictures": _encoded(view.pictures), "errors": _encoded(view.errors)},
        )
    names = {name for view in views for name in (*view.pictures, *view.indices)}
    yield (
        "views",
        {
            "views": listed,
            "kinds": {name: kind_of(name) for name in sorted(names)},
            "better": dict(better),
            "protocols": PROTOCOLS,
        },
    )


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {index: float(v) if math.isfinite(v) else None for index, v in values.items()}


def _encoded(pictures: dict[str, bytes]) -> dict[str, str]:
    return {caption: b64encode(webp).decode() for caption, webp in pictures.items()}

"""A report as one HTML page with its pictures beside it. No script, nothing from the network."""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

from fusiontrain.pictures import colour_picture, error_picture, save_picture, stretch_of
from fusiontrain.protocols import BETTER_HIGH, INDICES, NETWORK, Case, Result, best
from shards.commit import whole_file

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px;
       padding: 0 1rem; color: #1c2530; background: #fbfbf9 }
h1, h2 { font-weight: 600; line-height: 1.2 } h2 { margin-top: 2.5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .9rem; text-align: right; border-bottom: 1px solid #dcdfe2 }
th:first-child, td:first-child { text-align: left } td.best { font-weight: 700 }
tr.network { background: #e9f2ee } .note { color: #55606c; max-width: 46rem }
.row { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 1rem }
figure { margin: 0 } figure img { width: 100%; display: block; border-radius: 3px }
figcaption { font-size: .85rem; color: #55606c; padding-top: .25rem }
"""
_ERROR_FULL_SCALE = 1.0  # spreads of the band
_ALWAYS_MAPPED = ("GSA", "MTF-GLP-FS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A case, how it was judged, and what came out."""

    case: Case
    results: list[Result]
    heading: str
    note: str


def write_page(folder: Path, sections: list[Section], *, facts: dict[str, str]) -> Path:
    """Pictures, results.json and at last index.html; returns the page's path."""
    parts = [_section(folder, section) for section in sections]
    listed = "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in facts.items())
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>panprior report</title><style>{_STYLE}</style></head><body>"
        f"<h1>panprior: zero-shot pansharpening</h1><ul>{listed}</ul>{''.join(parts)}"
        "</body></html>\n"
    )
    rows = {s.case.name: {r.method: r.indices for r in s.results} for s in sections}
    with whole_file(folder / "results.json") as file:
        file.write(json.dumps(rows, indent=1).encode() + b"\n")
    page = folder / "index.html"
    with whole_file(page) as file:
        file.write(html.encode())
    return page


def _section(folder: Path, section: Section) -> str:
    case, results = section.case, section.results
    stretch = stretch_of(case.truth)
    pan_stretch = stretch_of(case.scene.pan)
    shown = [r for r in results if r.method in (NETWORK, "EXP", _best_classical(results).method)]
    pictures = [
        ("PAN", colour_picture(case.scene.pan, pan_stretch)),
        ("MS", colour_picture(case.scene.ms, stretch)),
        *((f"fused: {r.method}", colour_picture(r.fused, stretch)) for r in shown),
        ("truth", colour_picture(case.truth, stretch)),
    ]
    mapped = [r for r in results if any(r is s for s in shown) or r.method in _ALWAYS_MAPPED]
    errors = [
        (f"error: {r.method}", error_picture(case.truth, r.fused, _ERROR_FULL_SCALE))
        for r in mapped
    ]
    rows = []
    for group in (pictures, errors):
        figures = []
        for caption, picture in group:
            name = f"{case.name}-{_slug(caption)}.png"
            save_picture(picture, folder / name)
            figures.append(
                f'<figure><img src="{escape(name)}" alt="{escape(caption)}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
        rows.append(f'<div class="row">{"".join(figures)}</div>')
    return (
        f'<h2>{escape(section.heading)}</h2><p class="note">{escape(section.note)} '
        f"Told to every method: {escape(str(case.knowledge))}.</p>{_table(results)}"
        f"<h3>Pictures</h3>{rows[0]}<h3>Where they err</h3>"
        '<p class="note">Mean over bands of the absolute error; white is one spread of the band '
        f"or more.</p>{rows[1]}"
    )


def _table(results: list[Result]) -> str:
    head = "".join(
        f"<th>{index} {'&uarr;' if index in BETTER_HIGH else '&darr;'}</th>" for index in INDICES
    )
    lines = []
    for result in results:
        cells = "".join(
            f'<td class="best">{result.indices[i]:.4f}</td>'
            if result.indices[i] == best(results, i)
            else f"<td>{result.indices[i]:.4f}</td>"
            for i in INDICES
        )
        kind = ' class="network"' if result.method == NETWORK else ""
        lines.append(f"<tr{kind}><td>{escape(result.method)}</td>{cells}</tr>")
    return f"<table><tr><th>method</th>{head}</tr>{''.join(lines)}</table>"


def _best_classical(results: list[Result]) -> Result:
    return min((r for r in results if r.method != NETWORK), key=lambda r: r.indices["ERGAS"])


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")

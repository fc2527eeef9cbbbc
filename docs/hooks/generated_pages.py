"""Hooks of mkdocs: pages that are made at build, and links that lead out of docs/."""

import os
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the parsers of this checkout, not of an installed package
sys.path.insert(0, str(Path(__file__).parent))

import command_reference  # noqa: E402 - beside this file
import table_reference  # noqa: E402

# Files of the repository that are pages of the site too.
BORROWED = {
    "shards/CONTRACT.md": "reference/contract.md",
    "shards/catalog/README.md": "reference/catalogue.md",
    "fusiontrain/weights/default.md": "reports/cards/default.md",
    "fusiontrain/weights/default-sensor.md": "reports/cards/default-sensor.md",
    "fusiontrain/weights/small.md": "reports/cards/small.md",
    "docs/gallery/README.md": "gallery/effects.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "bench/README.md": "project/benches.md",
    "CHANGELOG.md": "project/changes.md",
}
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def on_config(config: Any) -> Any:
    """Puts the generated pages of commands under "Commands"."""
    for section in config["nav"]:
        for pages in section.values():
            for page in pages:
                if isinstance(page, dict) and page.get("Commands"):
                    page["Commands"] = [page["Commands"], *command_reference.navigation()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages of commands and the borrowed files."""
    made = command_reference.pages() | table_reference.pages()
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    for source, uri in BORROWED.items():
        text = _FRONT_MATTER.sub("", (ROOT / source).read_text())
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of the repository become links of the site."""
    here = {uri: source for source, uri in BORROWED.items()}.get(
        page.file.src_uri, f"docs/{page.file.src_uri}"
    )

    def site_link(match: re.Match[str]) -> str:
        target, hash_sign, anchor = match[1].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        uri = BORROWED.get(path) or (path.removeprefix("docs/") if "docs/" in path else "")
        if not uri:  # a file of code: no page
            return "]" if not (ROOT / path).exists() else "](" + _page_of_code(page) + ")"
        relative = posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")
        return f"]({relative}{hash_sign}{anchor})"

    if page.file.src_uri == "reference/cli.md":
        markdown += f"\n\n{command_reference.summary()}\n"
    parts = _CODE.split(markdown)
    return "".join(part if i % 2 else _LINK.sub(site_link, part) for i, part in enumerate(parts))


def _page_of_code(page: Any) -> str:
    return os.path.relpath("architecture.md", posixpath.dirname(page.file.src_uri) or ".")

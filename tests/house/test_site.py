"""The documentation's site: complete, without warnings, and without calls to other servers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.config import load_config

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
# Tags that make a browser load something; <a href> does not.
LOADS = re.compile(r"<(?:script|link|img|iframe|source|video|object)\b[^>]*?(?:src|href|data)=\S+")


@pytest.fixture(scope="module")
def config():
    return load_config(str(ROOT / "mkdocs.yml"))


def pages_of(nav):
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else pages_of(value)


def test_every_page_is_in_the_navigation(config):
    """A page of docs/ that mkdocs.yml does not name cannot be found by a reader."""
    named = set(pages_of(config["nav"]))
    written = {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md")} - {"gallery/README.md"}

    assert set() == written - named


def test_every_command_has_a_page_of_its_arguments():
    """Made of the parsers at build, by the names of cli.py."""
    sys.path.insert(0, str(DOCS / "hooks"))
    import command_reference

    from fusiontrain import cli as fusiontrain
    from simgen import cli as simgen

    pages = command_reference.pages()
    fuse = pages["reference/commands/fusiontrain-fuse.md"]

    assert len(pages) == len(fusiontrain.COMMANDS) + len(simgen.COMMANDS) + 1
    assert "--softness" in fuse
    assert "percentiles" in fuse
    assert "--max-steps" in pages["reference/commands/fusiontrain-pretrain.md"]
    assert "push" in pages["reference/commands/shards.md"]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    """Strict: every link and heading that a page names is there."""
    done = subprocess.run(
        [Path(sys.executable).parent / "mkdocs", "build", "--strict", "-q", "-d", tmp_path],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
    pages = list(tmp_path.rglob("*.html"))
    loaded = [tag for page in pages for tag in LOADS.findall(page.read_text())]
    styles = [sheet.read_text() for sheet in tmp_path.rglob("*.css")]
    assert len(pages) > 40
    assert [tag for tag in loaded if re.search(r"=[\"']?(https?:)?//", tag)] == []
    assert [s for s in styles if re.search(r"url\([\"']?(https?:)?//|@import", s)] == []

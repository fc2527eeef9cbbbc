"""The documentation: links that resolve, and nothing that a reader cannot reach."""

import re

import pytest

from tests.support.paths import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "bench" / "README.md",
]
PAGES = [page for page in PAGES if page.exists()]
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def links(page):
    """(target, anchor) of every link and picture that leads into the repository."""
    prose = CODE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            yield (page.parent / name).resolve() if name else page, anchor


def anchors(page):
    """What GitHub makes of a page's headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.M
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page):
    """To a file of the repository, and to a heading of it where one is named."""
    for path, anchor in links(page):
        assert path.exists(), f"{page.relative_to(ROOT)} links to {path}"
        if anchor:
            assert anchor in anchors(path), f"{page.relative_to(ROOT)} links to {path}#{anchor}"


def test_every_path_of_the_documentation_that_code_names_exists():
    """`docs/...` in code, messages, the README, cards and scripts."""
    files = [
        path
        for pattern in ("*.py", "*.md", "*.sbatch", "Makefile")
        for folder in ("", "bench", "docs", "fusiontrain", "shards", "simgen", "slurm", "tests")
        for path in ((ROOT / folder).rglob(pattern) if folder else ROOT.glob(pattern))
    ]
    named = {
        name
        for path in files
        for name in re.findall(r"\bdocs/[\w/-]+(?:\.\w+)?", path.read_text())
        if not name.endswith("/")
    }

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


MOST_WORDS = 13_000  # of prose in docs/, so that it stays a thing to read
MADE = ("gallery/README.md", "reports/seed.md")  # pages that commands write


def test_the_prose_of_the_documentation_stays_short():
    """Without code, tables and pages that commands write; options belong into --help."""
    words = 0
    for page in (ROOT / "docs").rglob("*.md"):
        if str(page.relative_to(ROOT / "docs")) not in MADE:
            prose = re.sub(r"```.*?```|^ *\|[^\n]*$", "", page.read_text(), flags=re.DOTALL | re.M)
            words += len(prose.split())

    assert 5_000 < words <= MOST_WORDS, f"{words} words"


def test_the_readme_is_read_in_three_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120

"""Sizes of files and functions of the packages."""

import ast

from tests.support.paths import ROOT

PACKAGES = ("shards", "simgen", "fusiontrain")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 300, 60


def test_files_are_short():
    """Under 300 lines."""
    lengths = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in SOURCES}

    assert {name: lines for name, lines in lengths.items() if lines >= FILE_LINES} == {}


def test_functions_are_short():
    """Under 60 lines, signature and docstring included."""
    lengths = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: lines for name, lines in lengths.items() if lines >= FUNCTION_LINES} == {}

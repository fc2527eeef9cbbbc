"""`make shards` for every source, as README and docs/guides/sources.md have it."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from simgen import cli
from simgen.commands.build import make_parser
from simgen.sources import SOURCES
from tests.support.paths import ROOT


def command(*variables) -> list[str]:
    """What `make shards` would run, its flags; the target's own .venv is not made."""
    make = ["make", "--dry-run", "--always-make", "--no-print-directory", "READY=", "shards"]
    done = subprocess.run([*make, *variables], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [t for t in done.stdout.replace("\\\n", " ").splitlines() if "simgen build" in t]
    _, build, *flags = shlex.split(line)
    assert build == "build"
    return flags


@pytest.mark.parametrize("dataset", sorted(SOURCES))
def test_the_target_knows_every_source(dataset):
    """Its command is one that simgen's own parser accepts; scenes get their recipe."""
    args = make_parser().parse_args(
        command(f"DATASET={dataset}", "SOURCE=a folder/x", "OUT=o", "WORKERS=2")
    )

    assert dataset == args.dataset
    assert Path("a folder/x") == args.source
    assert ("wald" if dataset == "scene" else "sensor") == args.recipe


def test_the_targets_options_reach_the_command():
    """RECIPE, SPLIT, FILTER, TILE, SEED, BANDS."""
    args = make_parser().parse_args(
        command(
            "RECIPE=paper", "SPLIT=validation", "FILTER=gsd<=1", "TILE=64", "SEED=7", "BANDS=3 5"
        )
    )

    assert ("paper", "validation", ["gsd<=1"]) == (args.recipe, args.split, args.filter)
    assert (64, 7, [3, 5]) == (args.tile, args.seed, args.bands)


def test_a_build_says_what_it_saw(tmp_path, make_jpeg, capsys):
    """Seen, used, rejected with reasons, and whose images they are."""
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / "in" / f"{i}.jpg").write_bytes(make_jpeg(seed=i))
    (tmp_path / "in" / "3.jpg").write_bytes(b"")
    (tmp_path / "in" / "LICENSE").write_text("CC0 1.0 Universal\nand more")
    arguments = ["build", "--dataset", "folder", "--source", str(tmp_path / "in"), "--tile", "64"]

    assert 0 == cli.main([*arguments, "--out", str(tmp_path / "out")])

    printed = capsys.readouterr()
    assert "4 images read, 3 used; source: LICENSE: CC0 1.0 Universal" in printed.out
    assert re.search(r"rejected 3\.jpg: empty file", printed.err)


def test_the_documentation_names_every_source():
    """docs/guides/sources.md has a section for each."""
    text = (ROOT / "docs" / "guides" / "sources.md").read_text()

    assert set(SOURCES) <= set(re.findall(r"^## `(\w+)`", text, re.MULTILINE))

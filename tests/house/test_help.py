"""--help of every command with the base install alone."""

import subprocess
import sys
import tomllib

from tests.support.paths import ROOT

CHECK = """
import contextlib, io, sys
from importlib.machinery import PathFinder
absent, found = set(sys.argv[1:]), PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: (
    None if name.partition(".")[0] in absent else found(name, *rest)
)
import fusiontrain.cli, shards.__main__, simgen.cli
programs = [
    (fusiontrain.cli.main, fusiontrain.cli.COMMANDS),
    (simgen.cli.main, simgen.cli.COMMANDS),
    (shards.__main__.main, ["pull", "push", "verify", "list"]),
]
for main, commands in programs:
    for words in ([], *([command] for command in commands)):
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                code = main([*words, "--help"])
        except SystemExit as stopped:
            code = stopped.code
        if code or not said.getvalue().startswith("usage: "):
            print(main.__module__, *words, code)
"""
IMPORTED_AS = {  # where a distribution's package has another name
    "huggingface-hub": "huggingface_hub",
    "nvidia-dali-cuda130": "nvidia",
    "rio-tiler": "rio_tiler",
    "scikit-image": "skimage",
}


def test_help_needs_no_extra():
    """Of fusiontrain, simgen and shards."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {_name(line) for line in project["dependencies"]}
    extras = project["optional-dependencies"]
    packages = {_name(line) for extra in extras for line in extras[extra] if extra != "dev"} - base
    absent = [IMPORTED_AS.get(name, name) for name in packages - {"panprior"}]
    assert {"accelerate", "nvidia", "fsspec", "matplotlib"} <= set(absent)

    done = subprocess.run(
        [sys.executable, "-c", CHECK, *absent], cwd=ROOT, capture_output=True, text=True
    )

    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


def _name(requirement):
    for sign in "[<>=;":
        requirement = requirement.partition(sign)[0]
    return requirement.strip()

"""Commands of the documentation: parsed by their own parsers, or run with little work."""

import importlib
import re
import subprocess
import sys
from argparse import ArgumentParser
from contextlib import nullcontext, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import pytest

from fusiontrain import cli as fusiontrain
from shards import __main__ as shards
from simgen import cli as simgen
from tests.support.paths import ROOT
from tests.support.snippets import commands

PROGRAMS = {"fusiontrain": fusiontrain, "simgen": simgen}
# What a reader types that is not ours: shells, package managers, editors.
OTHERS = {
    "cd",
    "do",
    "done",
    "eval",
    "for",
    "while",
    "source",
    "git",
    "docker",
    "uv",
    "qgis_process",
}
TRAINING = ["--max-steps", "2", "--batch-size", "2", "--crop", "32"]
SMALL = {  # arguments that end a command soon; the last of a flag counts
    ("fusiontrain", "fuse"): ["--threads", "1"],  # two wait for each other on a busy machine
    ("fusiontrain", "pretrain"): TRAINING,
    ("fusiontrain", "finetune"): TRAINING[:2],
    ("simgen", "build"): ["--limit", "3"],
    ("fusiontrain", "benchmark"): ["--methods", "GSA", "--picture-side", "64"],
}


def our_command(words):
    """(program, its arguments) of a command of ours, however it is started; else None."""
    if words[:2] == ["rio", "fuse"]:
        return "fusiontrain", words[1:]
    if words[0] in PROGRAMS:
        return words[0], words[1:]
    if "fusiontrain/pretrain.py" in words:  # accelerate launch, torchrun, python
        return "fusiontrain", ["pretrain", *words[words.index("fusiontrain/pretrain.py") + 1 :]]
    if words[1:3] == ["-m", "shards"]:
        return "shards", words[3:]
    return None


def parse(words):
    """Fails unless the command would be understood."""
    words = [re.sub(r"^(\./)?\.venv/bin/", "", words[0]), *words[1:]]
    ours = our_command(words)
    if ours and "--print-config" in words:
        assert _main(*ours) == 0, words  # later commands may read what it writes
    elif ours:
        _parse_ours(*ours)
    elif words[0] == "make":
        _parse_make(words)
    elif words[1:2] == ["-m"] and words[2].startswith("bench"):
        _parse_bench(words[2], words[3:])
    elif words[0] == "pip" or words[:2] == ["uv", "pip"] or words[1:3] == ["-m", "pip"]:
        _parse_install(words)
    elif words[0] == "pytest":
        missing = [w for w in words[1:] if w.startswith("tests/") and not (ROOT / w).exists()]
        assert missing == [], words
    elif words[0] == "sbatch":
        scripts = [word for word in words if word.endswith(".sbatch")]
        assert all((ROOT / script).is_file() for script in scripts), words
        assert scripts, words
    elif words[0].startswith("python"):
        assert words[1] in ("-m", "-c") or (ROOT / words[1]).is_file(), words
    else:
        assert words[0] in OTHERS, f"nothing tries {' '.join(words)}"


def run(words):
    """Exit code of a command of ours, with little work; 0 of others, which are parsed only."""
    parse(words)
    ours = our_command([re.sub(r"^\.venv/bin/", "", words[0]), *words[1:]])
    if not ours:
        return 0
    program, arguments = ours
    arguments = [*arguments, *SMALL.get((program, *arguments[:1]), [])]
    return _main(
        program, [*arguments, "--adapt", "2steps"] if "--adapt" in arguments else arguments
    )


def _main(program, arguments):
    """Exit code; what the command prints goes to the FILE of a word >FILE."""
    main = (shards if program == "shards" else PROGRAMS[program]).main
    written = [word[1:] for word in arguments if word.startswith(">")]
    with Path(written[0]).open("w") if written else nullcontext(sys.stdout) as output:
        try:
            with redirect_stdout(output):
                return main([word for word in arguments if not word.startswith(">")])
        except SystemExit as end:  # of a parser: --help, --print-config
            return end.code or 0


def _parse_ours(program, arguments):
    if program == "shards":
        shards._parser().parse_args(arguments)
    elif arguments[0].startswith("--"):  # --version, --print-completion
        with pytest.raises(SystemExit):
            PROGRAMS[program].main([*arguments, "--help"])
    elif "--help" not in arguments:
        parser = PROGRAMS[program].load(arguments[0]).make_parser()
        parser.parse_args([w for w in arguments[1:] if w != "..." and not w.startswith(">")])


def _parse_make(words):
    """The target is there, and the commands that it would start are understood."""
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/.ready", *words[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for command in commands(done.stdout):
        if our_command([re.sub(r"^\.venv/bin/", "", command[0]), *command[1:]]):
            parse(command)


class _ParsedError(Exception):
    pass


def _parse_bench(module, arguments):
    """Its main() up to the parsed arguments."""
    spec = find_spec(module)
    assert spec, module
    if spec.submodule_search_locations:
        module = f"{module}.__main__"
    original = ArgumentParser.parse_args

    def parse_and_stop(self, *given, **named):
        original(self, *given, **named)
        raise _ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [module, *arguments])
        patch.setattr(ArgumentParser, "parse_args", parse_and_stop)
        with pytest.raises(_ParsedError):
            importlib.import_module(module).main()


def _parse_install(words):
    """Every extra that is named is in pyproject.toml."""
    known = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    for word in words:
        for extras in re.findall(r"^(?:\.|panprior)\[([\w,]+)\]", word):
            assert set(extras.split(",")) <= known, words

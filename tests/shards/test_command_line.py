"""Command lines: flags of a dataclass, config files, errors of one line, parameters as flags."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import jsonargparse
import pytest

from shards.command_line import ConfigFlags, PlainFlags, add_fields, field_values, with_flags


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    max_steps: Annotated[int, "stop after N steps"] = 20_000
    minutes: Annotated[float | None, "stop after X minutes"] = None
    rate: Annotated[float, "learning rate"] = 0.5
    schedule: Annotated[Literal["cosine", "wsd"], "schedule"] = "cosine"
    compile: Annotated[bool, "compile the network"] = False
    limit: Annotated[str, "a share or a count"] = "5%"
    scenes: Annotated[tuple[Path, ...], "scenes"] = ()


class Parser(ConfigFlags, jsonargparse.ArgumentParser):
    pass


@pytest.fixture
def parser():
    parser = Parser(prog="program train")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_presets(
        "--recipe", {"usual": dict, "short": lambda: {"max_steps": 3, "rate": 0.1}}, "usual"
    )
    add_fields(parser, Settings)
    return parser


def settings(parser, *argv):
    return Settings(**field_values(parser.parse_args([*map(str, argv)]), Settings))


def refused(capsys, parser, *argv):
    """The one line of standard error."""
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([*map(str, argv)])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("text", ["-5", "-.5", "-5.", "-3.4028234663852886e+38", "-1E4", "-inf"])
def test_a_negative_number_is_a_value_in_any_spelling(text):
    flags = PlainFlags(prog="x")
    flags.add_argument("--nodata", type=float)

    assert float(text) == flags.parse_args(["--nodata", text]).nodata


def test_flags_are_the_fields_of_the_dataclass(parser):
    assert Settings() == settings(parser, "--out", "o")
    found = settings(parser, "--out", "o", "--max-steps", 9, "--minutes", 5, "--schedule", "wsd",
                     "--compile", "--limit", 3, "--scenes", "a", "b")  # fmt: skip

    assert found == Settings(
        max_steps=9,
        minutes=5.0,
        schedule="wsd",
        compile=True,
        limit="3",
        scenes=(Path("a"), Path("b")),
    )


FILES = {
    "c.yaml": """
        out: o
        max_steps: 7
        minutes: 2
        schedule: wsd
        compile: true
        limit: 3
        scenes: [a]
        """,
    "c.toml": """
        out = "o"
        max_steps = 7
        minutes = 2
        schedule = "wsd"
        compile = true
        limit = 3
        scenes = ["a"]
        """,
}


@pytest.mark.parametrize("name", FILES)
def test_a_config_file_holds_values_and_flags_override_it(parser, tmp_path, name):
    file = tmp_path / name
    file.write_text(FILES[name])

    found = settings(parser, "--max-steps", 8, "--config", file)

    assert found == Settings(
        max_steps=8, minutes=2.0, schedule="wsd", compile=True, limit="3", scenes=(Path("a"),)
    )


@pytest.mark.parametrize("where", ["flag", "file"])
def test_a_preset_gives_defaults_wherever_it_is_named(parser, tmp_path, where):
    file = tmp_path / "c.yaml"
    file.write_text("recipe: short\n")
    how = ["--recipe", "short"] if where == "flag" else ["--config", file]

    assert settings(parser, "--out", "o", *how, "--rate", 1) == Settings(max_steps=3, rate=1.0)


def test_what_print_config_prints_is_a_config_file(parser, tmp_path, capsys):
    given = ["--out", "o", "--recipe", "short", "--limit", "7", "--scenes", "a"]
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([*given, "--print-config"])
    assert stopped.value.code == 0
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)

    assert settings(parser, *given) == settings(parser, "--config", file)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--max-steps", "many"], "--max-steps: expected a whole number; got 'many'"),
        (["--minutes", "x"], "--minutes: expected a number; got 'x'"),
        (["--schedule", "cosin"], "got 'cosin'; did you mean cosine?"),
        (["--max-step", "3"], "unknown: --max-step 3; did you mean --max-steps?"),
        (["--max", "3"], "unknown: --max 3"),
        (["--recipe", "shrt"], "did you mean short?"),
        (["--max-steps", "3"], "the following arguments are required: --out"),
    ],
)
def test_a_wrong_flag_is_one_line(parser, capsys, argv, words):
    said = refused(capsys, parser, *argv)

    assert said.startswith("program train: ")
    assert words in said
    assert "(see program train --help)" in said


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.yaml", "max_stesp: 3\n", "max_stesp is no option; did you mean max_steps?"),
        ("c.toml", "max_stesp = 3\n", "max_stesp is no option; did you mean max_steps?"),
        ("c.yaml", "max_steps: many\n", "max_steps: expected a whole number; got 'many'"),
        ("c.yaml", "schedule: wds\n", "schedule: expected one of cosine, wsd; got 'wds'"),
        ("c.toml", "schedule: wsd\n", "Expected '=' after a key"),
        ("c.yaml", "[a\n", "while parsing"),
        ("c.yaml", "text\n", "text"),
        ("c.yaml", "out: " + "[" * 30_000 + "]" * 30_000, "over 1000 lists and tables"),
        ("c.yaml", "out: " + "{a: " * 10_000, "over 1000 lists and tables"),
        ("c.yaml", "out:\n " + "- " * 30_000 + "a", "over 1000 lists and tables"),
        ("c.yaml", "? " * 30_000 + "a", "over 1000 lists and tables"),
        ("c.toml", "out = " + "[" * 30_000 + "]" * 30_000, "over 1000 lists and tables"),
        ("c.yaml", "\n".join(" " * n + "a:" for n in range(340)) + " b", "a is no option"),
        ("c.yaml", "#" * 2**17, "expected at most 65536 bytes"),
        ("c.yaml", f"rate: 1{'0' * 400}", "a number is too large"),
        ("c.toml", "out = 'é'", "'utf-8' codec can't decode"),
        ("c.yaml", "out: é", "'utf-8' codec can't decode"),
    ],
)
def test_a_wrong_config_file_is_one_line_that_names_it(parser, capsys, tmp_path, name, text, words):
    file = tmp_path / name
    file.write_text(text, encoding="latin-1")

    said = refused(capsys, parser, "--out", "o", "--config", file)

    assert f"{file}: " in said
    assert words in said


def test_a_number_too_large_for_a_float_is_one_line(parser, capsys):
    assert "too large" in refused(capsys, parser, "--out", "o", "--rate", f"1{'0' * 400}")


def test_a_config_file_that_is_not_there_is_named(parser, capsys, tmp_path):
    assert "absent.yaml" in refused(capsys, parser, "--config", tmp_path / "absent.yaml")


def test_help_ends_with_the_default(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--help", "--recipe", "short"])
    said = " ".join(capsys.readouterr().out.split())

    assert "--max-steps N stop after N steps (default: 3)" in said
    assert "a share or a count (default: 5%)" in said
    assert "--minutes X stop after X minutes --rate" in said


def test_parameters_in_a_message_become_flags():
    parser = PlainFlags(prog="p")
    parser.add_argument("--register", "-r")
    parser.add_argument("--bad-shard", "-b")
    parser.add_argument("--bad-shard-before", dest="bad_shard")  # an alias
    parser.parameter_flags = {"core": "--window"}
    text = "`register=off` and `bad_shard`, `core`; `simgen build --bands` and `other` stay"

    assert with_flags(text, parser.flags) == (
        "--register off and --bad-shard, --window; `simgen build --bands` and `other` stay"
    )

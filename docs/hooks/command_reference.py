"""Pages of every command's arguments, made of its parser."""

import argparse
import html
from collections.abc import Iterator
from importlib import import_module
from typing import Any

PROGRAMS = ("fusiontrain", "simgen")
_LISTED = ("help", "config", "print_config", "version")


def navigation() -> list[dict[str, str]]:
    """Title -> page of every command, in the order of its program."""
    return [{title: _uri(title)} for title, _ in _parsers()]


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown."""
    return {_uri(title): _page(title, parser) for title, parser in _parsers()}


def summary() -> str:
    """A table of all commands, for the page that introduces them."""
    rows = ["## All commands", "", "| command | purpose |", "|---|---|"]
    for program in PROGRAMS:
        for name, purpose in import_module(f"{program}.cli").COMMANDS.items():
            page = _uri(f"{program} {name}").removeprefix("reference/")
            rows.append(f"| [{program} {name}]({page}) | {_escaped(purpose)} |")
    return "\n".join(rows)


def _uri(title: str) -> str:
    return f"reference/commands/{title.removeprefix('python -m ').replace(' ', '-')}.md"


def _parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for program in PROGRAMS:
        cli = import_module(f"{program}.cli")
        for name in cli.COMMANDS:
            yield f"{program} {name}", cli.load(name).make_parser()
    shards: Any = import_module("shards.__main__")
    yield "python -m shards", shards._parser()


def _page(title: str, parser: argparse.ArgumentParser) -> str:
    parts = [f"# {title}", _escaped(parser.description or "")]
    subcommands = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not subcommands:
        return "\n\n".join([*parts, *_sections(parser)])
    for action in subcommands:
        purposes = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, child in action.choices.items():
            parts += [f"## {title} {name}", _escaped(purposes.get(name, "")), *_sections(child)]
    return "\n\n".join(parts)


def _sections(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The usage, and a table a group of arguments."""
    usage = parser.format_usage().removeprefix("usage: ").strip()
    yield f"```text\n{usage}\n```"
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        if actions:
            yield f"**{(group.title or 'options').capitalize()}**"
            rows = "\n".join(f"| {_name(a)} | {_meaning(parser, a)} |" for a in actions)
            yield f"| argument | meaning |\n|---|---|\n{rows}"


def _name(action: argparse.Action) -> str:
    """The flags, or the name, and what they take."""
    values = argparse.HelpFormatter("")._format_args(
        action, action.dest if not action.option_strings else action.dest.upper()
    )
    if not action.option_strings:
        return _code(values)
    flags = sorted(action.option_strings, key=len, reverse=True)
    return "<br>".join(_code(f"{flag} {values}".strip()) for flag in flags)


def _meaning(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    return _escaped(formatter._expand_help(action)) if action.help else ""


def _code(text: str) -> str:
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    plain = html.escape(" ".join(text.split()), quote=False)
    for sign in "|*_`[]":
        plain = plain.replace(sign, f"&#{ord(sign)};")
    return plain

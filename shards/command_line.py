"""Command lines: one-line errors, defaults in --help, flags of a dataclass, config files.

A program that reads config files combines `ConfigFlags` with jsonargparse:

    class Parser(ConfigFlags, jsonargparse.ArgumentParser): ...

The library names parameters in backticks (`softness`, `register=off`); `with_flags` turns those
of a command's own into its flags (--softness, --register off).
"""

import argparse
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from shards.bounded_reading import read_bounded
from shards.console import printable
from shards.near_names import did_you_mean

_LARGEST_CONFIG = 1 << 16  # bytes
_MOST_LISTS = 1000  # of a config file
_NEGATIVE_NUMBER = re.compile(r"-(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$|-inf$", re.IGNORECASE)
_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


class DefaultsShown(argparse.RawDescriptionHelpFormatter):
    """Help that ends with the default, where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, value = action.help or "", action.default
        if not action.option_strings or "(default" in text or action.nargs == 0:
            return text
        if value in (None, "", argparse.SUPPRESS) or value == []:
            return text
        shown = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        return f"{text} (default: {shown.replace('%', '%%')})".lstrip()


class PlainFlags(argparse.ArgumentParser):
    """Takes no abbreviated flag; an error is one line that names the flag, with exit code 2."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        usual: dict[str, Any] = {"allow_abbrev": False, "formatter_class": DefaultsShown}
        super().__init__(*args, **usual | kwargs)
        self.parameter_flags: dict[str, str] = {}  # of parameters that are named otherwise
        self.config_file = ""  # that holds values
        self.in_file = False  # while they are parsed
        # argparse's own takes -3.4e+38, a value of --nodata, for a flag.
        self._negative_number_matcher = _NEGATIVE_NUMBER

    def error(self, message: str, _: Exception | None = None) -> NoReturn:
        from_file = self.in_file or message.endswith("is not accepted")
        where = f"{self.config_file}: " if from_file else ""
        text = _one_line(message, self.flags, from_file)
        self.exit(2, printable(f"{self.prog}: {where}{text} (see {self.prog} --help)\n"))

    @property
    def flags(self) -> dict[str, str]:
        """Parameter -> flag, of everything that this command takes; an alias comes after it."""
        return dict(_flags(reversed(self._actions))) | self.parameter_flags


class ConfigFlags(PlainFlags):
    """Adds --config FILE and --print-config to jsonargparse's parser; flags override the file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, print_config="--print-config", **kwargs)
        self._preset_flag = ""
        self._presets: Mapping[str, Callable[[], Mapping[str, Any]]] = {}
        self.add_argument(
            "--config", action="config", metavar="FILE", help="values of flags, YAML or .toml"
        )
        printing = next(a for a in self._actions if "--print-config" in a.option_strings)
        printing.help, printing.metavar = "print all values as YAML for --config, and stop", ""

    def add_presets(
        self, flag: str, presets: Mapping[str, Callable[[], Mapping[str, Any]]], default: str
    ) -> None:
        """A flag whose value decides the defaults of others, in --help and --print-config too."""
        self._preset_flag, self._presets = flag, presets
        self.add_argument(
            flag, choices=list(presets), default=default, help="named set of defaults"
        )

    def parse_args(self, args: Any = None, namespace: Any = None, **kwargs: Any) -> Any:
        """The values of flags, config file and presets, in this order of precedence."""
        argv = list(sys.argv[1:] if args is None else args)
        path, argv = _taken(argv, "--config")
        preset = _taken(argv, self._preset_flag)[0] if self._preset_flag else None
        if path is not None:
            argv = ["--config", path, *argv]  # first, so that flags override it
            if preset is None and self._preset_flag and Path(path).is_file():
                values = self.parse_path(path, defaults=False, _skip_validation=True)
                preset = values.get(self._preset_flag.lstrip("-"))
        if preset is not None and preset in self._presets:
            known = self.flags
            values = self._presets[preset]()
            self.set_defaults(**{name: values[name] for name in values if name in known})
        try:
            return super().parse_args(argv, namespace, **kwargs)
        except OverflowError as error:  # a whole number of hundreds of digits for a float
            self.error(f"a number is too large: {error}")

    def parse_path(self, path: Any, **kwargs: Any) -> Any:
        """Values of a config file: TOML if it is named so, else YAML."""
        parser: Any = super()
        self.parser_mode = "toml" if str(path).endswith(".toml") else "yaml"
        self.config_file, self.in_file = str(path), True
        try:
            self._check_file(Path(str(path)))
            return parser.parse_path(path, **kwargs)
        except OverflowError as error:
            self.error(f"a number is too large: {error}")
        finally:
            self.parser_mode, self.in_file = "yaml", False

    def _check_file(self, path: Path) -> None:
        if not path.exists():
            return  # jsonargparse says so
        try:
            data = read_bounded(path, _LARGEST_CONFIG)
            data.decode()
        except (OSError, ValueError) as error:
            self.error(str(getattr(error, "strerror", None) or error))
        # libyaml overflows the stack, and the process dies.
        if len(re.findall(rb"[\[{]|[-?]\s", data)) > _MOST_LISTS:
            self.error(f"over {_MOST_LISTS} lists and tables; expected one table of values")


class ShowVersion(argparse.Action):
    """Prints panprior's version; it is looked up only if asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version, and stop")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"panprior {version('panprior')}")
        parser.exit()


def add_fields(parser: Any, cls: type, *, skip: Collection[str] = (), defaults: Any = None) -> None:
    """A flag for each field of a dataclass: Annotated[type, "help"], and its default.

    defaults: an instance that holds others.
    """
    hints = get_type_hints(cls, include_extras=True)
    for field in fields(cls):
        if field.name in skip:
            continue
        hint = hints[field.name]
        text = hint.__metadata__[0] if get_origin(hint) is Annotated else ""
        default = field.default if defaults is None else getattr(defaults, field.name)
        default = list(default) if isinstance(default, tuple) else default  # as argparse collects
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, default=default, help=text.replace("%", "%%"), **_how(hint))


def field_values(args: Any, cls: type) -> dict[str, Any]:
    """The parsed values that are fields of the dataclass."""
    names = [field.name for field in fields(cls) if hasattr(args, field.name)]
    values = {name: getattr(args, name) for name in names}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def field_defaults(cls: type) -> dict[str, Any]:
    """The defaults of a dataclass's fields."""
    return {field.name: field.default for field in fields(cls)}


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """A message of the library, its parameters in backticks as flags."""

    def as_flag(match: re.Match[str]) -> str:
        name, equals, value = match[1].partition("=")
        return f"{flags[name]}{equals and ' '}{value}" if name in flags else match[0]

    return re.sub(r"`(\w+(?:=[^`]*)?)`", as_flag, text)


def _flags(actions: Iterable[argparse.Action]) -> Iterator[tuple[str, str]]:
    for action in actions:
        if action.option_strings:
            yield action.dest, max(action.option_strings, key=len)


def _how(hint: Any) -> dict[str, Any]:
    """What add_argument needs for a type."""
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not NoneType)
    if kind is bool:
        return {"action": "store_true"}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    if get_origin(kind) is tuple:
        return {"nargs": "+", **_how(get_args(kind)[0])}
    return {"type": _text if kind is str else kind, "metavar": _METAVARS.get(kind)}


def _text(value: Any) -> str:
    """Also of a number, as a config file may hold it."""
    return str(value)


def _taken(argv: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """The last value of a flag, and what is left without it."""
    value: str | None = None
    left: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return value, [*left, word, *words]
        if word == flag:
            value = next(words, None)
            if value is None:
                return None, list(argv)  # argparse says what is missing
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
        else:
            left.append(word)
    return value, left


def _one_line(message: str, flags: Mapping[str, str], from_file: bool) -> str:
    """One line of a message of argparse or jsonargparse; did you mean, where a word is near."""
    text = " ".join(message.split())
    if match := re.fullmatch(r"Option '(.+?)' is not accepted", text):
        return f"{match[1]} is no option{did_you_mean(match[1], flags)}"
    if match := re.fullmatch(r"(the following arguments are required: )(.*)", text):
        return match[1] + ", ".join(flags.get(name, name) for name in match[2].split(", "))
    if match := re.fullmatch(r"unrecognized arguments: (.*)", text):
        known = [*flags.values()]
        unknown = next((w for w in match[1].split() if w.startswith("-")), match[1])
        return f"unknown: {match[1]}{did_you_mean(unknown.partition('=')[0], known)}"
    if match := re.fullmatch(r"argument (.+?): (.*)", text):
        name, text = match[1].split("/")[-1], match[2]
    elif match := re.fullmatch(r'Parser key "(.+?)": (.*)', text):
        name, text = match[1] if from_file else flags.get(match[1], match[1]), match[2]
    else:
        return text
    if match := re.fullmatch(r"Expected an? <class '(\w+)'>\. Got value: (.*)", text):
        text = f"expected {_KINDS.get(match[1], match[1])}; got {match[2]!r}"
    if match := re.fullmatch(r"invalid (\w+) value: '(.*)'", text):
        text = f"expected {_KINDS.get(match[1], match[1])}; got {match[2]!r}"
    if (match := re.fullmatch(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", text)) or (
        match := re.fullmatch(r"'?(.*?)'? not among choices [(\[](.*?),?[)\]]", text)
    ):
        choices = [word.strip(" '\"") for word in match[2].split(",")]
        guess = did_you_mean(match[1], choices)
        text = f"expected one of {', '.join(choices)}; got {match[1]!r}{guess}"
    return f"{name}: {text}"

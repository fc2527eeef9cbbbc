"""Exit codes, one-line errors and log lines of every command."""

import logging
import signal
import subprocess
import sys

import pytest

from shards.command_line import PlainFlags
from shards.console import one_line, print_error, print_result, run_command, set_up_logging
from shards.errors import PanpriorError

MISSING = (
    "prog: read needs the package h5py, which is not installed\n"
    "  do: pip install 'panprior[formats]'\n"
)


class CodedError(PanpriorError):
    code = 143


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PanpriorError("no such build"), 2, "prog: no such build\n"),
        (CodedError("stopped"), 143, "prog: stopped\n"),
        (FileNotFoundError(2, "No such file", "a/b"), 2, "prog: a/b: No such file\n"),
        (OSError("full"), 2, "prog: disk: full\n"),
        (
            ModuleNotFoundError("No module", name="h5py._hl"),
            2,
            MISSING,
        ),
    ],
)
def test_errors_are_one_line_and_an_exit_code(capsys, error, code, text):
    extras = {"h5py": "formats"}
    assert code == run_command("prog", raising(error), name="read", extras=extras)
    assert ("", text) == capsys.readouterr()


def test_any_missing_package_may_be_one_extras(capsys):
    missing = ModuleNotFoundError("No module", name="nvidia.dali")
    assert 2 == run_command("prog", raising(missing), extras={"*": "simgen"})
    assert (
        "prog: nvidia.dali is not installed\n  do: pip install 'panprior[simgen]'\n"
        == capsys.readouterr().err
    )


@pytest.mark.parametrize("before", ["", "cannot read ", "/vsicurl/", "zip+"])
@pytest.mark.parametrize("user", ["me:secret@", "me@", "me:se@cret@", ":secret@"])
def test_messages_do_not_repeat_credentials(before, user, capsys):
    """Of errors as the library raises them, and of lines as commands print them."""
    said, plain = (f"{before}https://{who}host:8/a@b.tif: gone, ask a@b.c" for who in (user, ""))

    print_error("prog", said)

    assert plain == str(PanpriorError(said))
    assert f"prog: {plain}\n" == capsys.readouterr().err


def test_words_of_libraries_become_one_printable_line():
    assert "band 22 illegal: stop" == one_line(ValueError("band 22\n\tillegal:  stop\n"))
    assert "a\\x1b[2Jb" == one_line("a\x1b[2Jb")
    assert 300 == len(one_line("x" * 5000))


@pytest.mark.parametrize("error", [ValueError("bug"), ModuleNotFoundError(name="typo")])
def test_bugs_keep_their_traceback(error):
    with pytest.raises(type(error)):
        run_command("prog", raising(error), extras={"h5py": "formats"})


def test_the_commands_own_exit_code():
    assert 5 == run_command("prog", lambda: 5)


def test_log_lines_go_to_standard_error(capsys):
    """Once each, however often logging is set up; results go to standard output."""
    for _ in range(2):
        set_up_logging("prog")
    logging.getLogger("shards.transfer").info("half")
    logging.getLogger("simgen").debug("too much")
    print_result("done")
    assert ("done\n", "prog: half\n") == capsys.readouterr()


def test_quiet_leaves_warnings(capsys):
    set_up_logging("prog", quiet=True)
    logging.getLogger("fusiontrain.fusion").info("half")
    logging.getLogger("fusiontrain.fusion").warning("odd")
    assert ("", "prog: odd\n") == capsys.readouterr()


def test_a_terminal_gets_richs_handler(monkeypatch, capsys):
    """The same words, nothing read as markup."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    set_up_logging("prog")
    logging.getLogger("shards").info("[red] 3 of 4")
    assert "prog: [red] 3 of 4" in capsys.readouterr().err


def test_a_terminal_without_rich_gets_plain_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich.logging", None)
    set_up_logging("prog")
    logging.getLogger("shards").info("half")
    assert "prog: half\n" == capsys.readouterr().err


@pytest.fixture(autouse=True)
def _restored():
    names = ("shards", "simgen", "fusiontrain")
    before = {n: (logging.getLogger(n).level, [*logging.getLogger(n).handlers]) for n in names}
    yield
    for name, (level, handlers) in before.items():
        logging.getLogger(name).level = level
        logging.getLogger(name).handlers[:] = handlers


ESCAPES = ["\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\b", "\x00", "\x7f", "\u202e", "\udcff"]


@pytest.mark.parametrize("escape", ESCAPES)
def test_what_steers_a_terminal_is_escaped(capsys, escape):
    """In results, errors, log lines and wrong flags; nor does a lone surrogate end them."""
    name = f"a{escape}b"
    print_result(name)
    print_error("program", name)
    set_up_logging("program")
    logging.getLogger("shards").warning("%s", name)
    with pytest.raises(SystemExit):
        PlainFlags(prog="program").parse_args([f"--{name}"])

    for said in capsys.readouterr():
        assert escape not in said
        assert said.replace("\n", "").isprintable()


def test_lines_and_tabs_stay(capsys):
    print_result("a\n\tb é 雪")
    assert capsys.readouterr().out == "a\n\tb é 雪\n"


def test_a_reader_that_ends_early_is_no_error():
    """As in `... | head -1`: no traceback, no message, the exit code of SIGPIPE's programs."""
    printing = (
        "import sys; from shards.console import print_result, run_command\n"
        "def lines():\n    for n in range(100_000): print_result(f'line {n}')\n"
        "sys.exit(run_command('simgen', lines))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", printing], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "line 0\n"
        process.stdout.close()
        assert process.wait(30) == 128 + signal.SIGPIPE
        assert process.stderr is not None
        assert process.stderr.read() == ""

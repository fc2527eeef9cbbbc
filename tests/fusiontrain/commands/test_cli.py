"""The command line as a whole: help, version, completion, what is imported before the work."""

import subprocess
import sys

import pytest

from fusiontrain.cli import COMMANDS, main
from fusiontrain.commands.choices import (
    CLASSICAL_NAMES,
    FORMATS,
    MATCH_LIMIT,
    MEMORY,
    MODEL_NAMES,
    NETWORK,
    SHIPPED_WEIGHTS,
)

HEAVY = ("torch", "rasterio", "accelerate", "webdataset", "PIL", "rio_tiler")


@pytest.mark.parametrize(
    "argv", [["--help"], ["--version"], ["fues"], *([name, "--help"] for name in COMMANDS)], ids=str
)
def test_help_imports_nothing_heavy(argv):
    check = (
        "import sys\nfrom fusiontrain.cli import main\n"
        f"try:\n    main({argv})\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )

    out = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert out.stdout.splitlines()[-1] == "[]"


def test_names_in_help_are_those_there_are():
    from fusiontrain.classical import PLAIN
    from fusiontrain.fusion import options
    from fusiontrain.models.pretrained_weights import NAMES
    from fusiontrain.models.registry import MODELS
    from fusiontrain.scenes import grid_alignment, output_formats

    assert set(MODELS) == set(MODEL_NAMES)
    assert tuple(PLAIN) == CLASSICAL_NAMES
    assert (NAMES, output_formats.FORMATS, grid_alignment.MATCH_LIMIT) == (
        SHIPPED_WEIGHTS,
        FORMATS,
        MATCH_LIMIT,
    )
    assert (options.MEMORY, options.NETWORK) == (MEMORY, NETWORK)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_flags_and_choices(shell, capsys):
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out

    for word in (*COMMANDS, "--max-bad-shards", "--softness", "release_small", "toolbox"):
        assert word in script, word


def test_version_and_no_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert (stopped.value.code, capsys.readouterr().out[:9]) == (0, "panprior ")
    for argv, words in (([], "a command is missing"), (["fues"], "did you mean fuse?")):
        with pytest.raises(SystemExit) as stopped:
            main(argv)
        assert stopped.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_has_a_help_and_none_may_be_abbreviated(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    flags = [line for line in out.splitlines() if line.lstrip().startswith("-")]

    assert flags
    with pytest.raises(SystemExit) as stopped:
        main([command, "--ou", "x"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_is_configured_by_a_file(tmp_path, capsys):
    """`pretrain --config` takes what --print-config printed; a recipe's name decides defaults."""
    with pytest.raises(SystemExit):
        main(["pretrain", "--recipe", "release", "--shards", "a", "--out", "o", "--print-config"])
    printed = capsys.readouterr().out
    assert "max_steps: 12000" in printed
    file = tmp_path / "run.yaml"
    file.write_text(printed)

    with pytest.raises(SystemExit):
        main(["pretrain", "--config", str(file), "--seed", "4", "--print-config"])

    assert capsys.readouterr().out == printed.replace("seed: 0", "seed: 4")

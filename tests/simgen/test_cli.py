"""simgen build as it is typed: recipes explained, sensors of one's own."""

import json

import pytest

from shards.manifest import NAME
from shards.schema import decode_sample
from shards.tar import read_samples
from simgen.building.verify import verify
from simgen.cli import main


def test_a_recipe_explains_itself(small_build, tmp_path, capsys):
    """What is printed is what the manifest has, hash and all; nothing is built."""
    assert 0 == main(["build", "--explain", "--recipe", "sensor", "--tile", "64"])

    said = json.loads(capsys.readouterr().out)
    manifest = json.loads((small_build / NAME).read_text())
    assert said == {key: manifest[key] for key in said}
    assert {"recipe", "recipe_hash", "recipe_data"} == set(said)
    assert 0 == main(["build", "--explain", "--dataset", "scene", "--out", str(tmp_path / "s")])
    assert "wald" == json.loads(capsys.readouterr().out)["recipe"]
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("given", [["--out", "x"], ["--dataset", "demo"], []])
def test_a_build_is_of_something_and_goes_somewhere(given, capsys):
    """One line, not a guess; and it has a worker."""
    assert 2 == main(["build", *given])
    assert "needs --dataset and --out" in capsys.readouterr().err
    assert 2 == main(["build", "--dataset", "demo", "--out", "x", "--workers", "0"])
    assert "--workers must be at least 1; got 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limit", "bands", "made"),
    [
        (8, (4, 3), {4: 4, 3: 4}),
        (5, (4, 3), {4: 3, 3: 2}),  # 2, 2 and the one that is left
        (5, (4, 4, 3), {4: 4, 3: 1}),
        (1, (4, 3), {4: 1}),
    ],
)
def test_few_images_are_of_every_number_of_bands(limit, bands, made, photos, tmp_path, caplog):
    """Or a line says which are not made."""
    counts = [*map(str, bands)]
    options = ["--source", str(photos), "--out", str(tmp_path / "s"), "--limit", str(limit)]
    build = ["build", "--dataset", "folder", *options, "--tile", "64", "--bands", *counts]

    assert main(build) == 0

    found = dict.fromkeys(made, 0)
    for row in verify(tmp_path / "s").shards:
        found[row.bands] += row.samples
    assert found == made
    lacking = set(bands) - set(made)
    assert (f"no sample of {', '.join(map(str, lacking))} bands" in caplog.text) == bool(lacking)
    assert main(build) == 0  # the same plan: nothing to do


def test_enough_images_keep_their_shards(small_build):
    """24 samples in shards of six, of two numbers in turn."""
    assert [(row.samples, row.bands) for row in verify(small_build).shards] == [
        (6, 4), (6, 3), (6, 4), (6, 3)
    ]  # fmt: skip


def test_a_build_says_its_samples_by_bands(small_build, capsys):
    assert main(["verify", str(small_build)]) == 0
    assert "24 samples in 4 shards (12 of 3 bands, 12 of 4 bands, " in capsys.readouterr().out


OWN = """
name = "Mine"
bands = ["blue", "green", "red"]
ratio = 3
bits = 10
mtf_ms = [0.2, 0.25, 0.33]
mtf_pan = 0.1
source = "its data sheet"
"""


def test_a_sensor_of_ones_own_is_simulated(photos, tmp_path, capsys):
    """From a TOML file: ratio, depth and gains of every sample; its row goes into the manifest."""
    (tmp_path / "mine.toml").write_text(OWN)
    options = ["--dataset", "folder", "--source", str(photos), "--out", str(tmp_path / "s"),
               "--like-sensor", str(tmp_path / "mine.toml"), "--tile", "48", "--limit", "3",
               "--quiet"]  # fmt: skip

    assert 2 == main(["build", *options, "--bands", "4"])
    assert "Mine has 3 bands; got --bands 4" in capsys.readouterr().err
    assert 0 == main(["build", *options, "--bands", "3"])

    manifest = verify(tmp_path / "s")
    assert (3, "its data sheet") == (
        manifest.ratio, manifest.recipe_data["like_sensor"]["source"]
    )  # fmt: skip
    for _, members in read_samples(tmp_path / "s" / "shard-000000.tar"):
        _, ms, _, facts = decode_sample(members)
        assert (3, 16, 16) == ms.shape
        assert ("Mine", 10, 3) == (facts.sensor, facts.bits, facts.ratio)
        assert (0.2, 0.25, 0.33) == pytest.approx(facts.mtf_ms, abs=0.01)


@pytest.mark.parametrize(
    ("text", "said"), [(OWN.replace("0.33", "1.5"), "mtf_ms"), ("name = ", "cannot read")]
)
def test_a_strange_sensor_is_one_line(text, said, tmp_path, capsys):
    """And so is a name that nobody has."""
    (tmp_path / "mine.toml").write_text(text)
    build = ["build", "--dataset", "demo", "--out", str(tmp_path / "s"), "--like-sensor"]

    assert 2 == main([*build, str(tmp_path / "mine.toml")])
    assert said in capsys.readouterr().err
    assert 2 == main([*build, "Nimbus"])
    assert "no sensor 'Nimbus'" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_config_file_holds_values_and_flags_override_them(photos, tmp_path, capsys):
    """TOML or YAML; what --print-config prints is a config file that builds the same."""
    (tmp_path / "own.toml").write_text(
        f'dataset = "folder"\nsource = "{photos}"\nbands = [3, 5]\ntile = 32\nmax_bad = "50%"\n'
    )
    given = ["build", "--config", str(tmp_path / "own.toml"), "--limit", "2", "--quiet"]

    with pytest.raises(SystemExit) as ended:
        main([*given, "--out", str(tmp_path / "b"), "--print-config"])
    assert 0 == ended.value.code
    (tmp_path / "printed.yaml").write_text(capsys.readouterr().out)
    assert 0 == main([*given, "--out", str(tmp_path / "a")])
    assert 0 == main(["build", "--config", str(tmp_path / "printed.yaml")])

    manifest = verify(tmp_path / "a")
    assert (2, 32) == (manifest.samples, manifest.tile)
    assert (tmp_path / "a" / NAME).read_bytes() == (tmp_path / "b" / NAME).read_bytes()


def test_a_misspelt_value_of_a_config_file_is_named(tmp_path, capsys):
    (tmp_path / "own.yaml").write_text("shards_size: 4\n")
    with pytest.raises(SystemExit) as ended:
        main(["build", "--config", str(tmp_path / "own.yaml")])
    assert 2 == ended.value.code
    message = capsys.readouterr().err
    assert "own.yaml: shards_size is no option; did you mean shard_size?" in message
    assert 1 == message.count("\n")


def test_abbreviated_flags_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["build", "--shard", "4"])
    assert 2 == ended.value.code
    assert "unknown: --shard" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "printed"),
    [
        (["--version"], "panprior "),
        (["--help"], "realism"),
        (["build", "--help"], "samples planned a shard (default: 128)"),
        (["look", "--help"], "samples to draw (default: 12)"),
    ],
)
def test_help_and_version(argv, printed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert 0 == ended.value.code
    assert printed in " ".join(capsys.readouterr().out.split())


def test_shells_complete_every_command(capsys):
    assert 0 == main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    assert "--task-index" in script
    assert "--gallery" in script

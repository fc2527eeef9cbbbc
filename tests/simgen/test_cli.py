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

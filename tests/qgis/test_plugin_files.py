"""The plugin's zip, and what its dialogs offer."""

import configparser
import subprocess
import sys
import zipfile

from fusiontrain.commands.choices import CLASSICAL_NAMES, NETWORK
from fusiontrain.models.target import TARGETS
from tests.support.paths import ROOT


def test_the_zip_is_what_qgis_installs(plugin, tmp_path):
    """One folder named as the plugin, with metadata that names its version, and no cache."""
    names = plugin("pack").pack(tmp_path / "p.zip")

    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.namelist() == names
        assert archive.testzip() is None
        metadata = configparser.ConfigParser()
        metadata.read_string(archive.read("panprior/metadata.txt").decode())
    assert {"panprior"} == {name.split("/")[0] for name in names}
    assert {"panprior/__init__.py", "panprior/metadata.txt", "panprior/LICENSE"} <= set(names)
    assert not [name for name in names if "pycache" in name]
    assert metadata.getboolean("general", "hasProcessingProvider")
    assert (ROOT / "qgis" / "panprior" / metadata["general"]["icon"]).is_file()


def test_the_dialogs_offer_what_fuse_takes(plugin):
    choices = plugin("choices")

    assert NETWORK == choices.METHODS[0]
    assert sorted([NETWORK, *CLASSICAL_NAMES]) == sorted(choices.METHODS)
    assert ["auto", *TARGETS] == list(choices.TARGETS)


def test_the_process_needs_the_standard_library_alone(plugin):
    """QGIS's Python has no package of ours."""
    path = ROOT / "qgis" / "panprior" / "command.py"
    script = f"import runpy; runpy.run_path({str(path)!r})"

    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True)

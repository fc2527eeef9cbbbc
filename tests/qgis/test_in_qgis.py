"""The plugin in QGIS itself, without a window: by qgis_process, and by QGIS's own Python."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from fusiontrain.scenes.example_scene import example_scene

pytestmark = pytest.mark.slow

TIMEOUT = 600
# An algorithm in QGIS's own Python, its result to be loaded; values and feedback are the test's.
BEGIN = """
import sys
from qgis.core import (
    QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingOutputLayerDefinition,
    QgsProject, QgsRasterLayer,
)
app = QgsApplication([], False)
app.initQgis()
sys.path[:0] = ["/usr/share/qgis/python/plugins", sys.argv[1]]
from processing.core.Processing import Processing
Processing.initialize()
from panprior.plugin import PanpriorPlugin
plugin = PanpriorPlugin()
plugin.initProcessing()
context, project = QgsProcessingContext(), QgsProject.instance()
context.setProject(project)
algorithm = app.processingRegistry().createAlgorithmById("panprior:pansharpen")
pan, ms, out = sys.argv[2:]
values = {"PAN": pan, "MS": ms, "OUTPUT": QgsProcessingOutputLayerDefinition(out, project)}
"""
CANCEL = """
class Feedback(QgsProcessingFeedback):
    def pushInfo(self, line):
        self.cancel()
    def reportError(self, error, fatalError=False):
        print("error:", error)
print("fine", algorithm.run(values, context, Feedback())[1])
"""
LOAD = """
feedback = QgsProcessingFeedback()
print("fine", algorithm.run({**values, "METHOD": "GSA"}, context, feedback)[1])
layer = QgsRasterLayer(out, "fused")
context.layersToLoadOnCompletion()[out].postProcessor().postProcessLayer(layer, context, feedback)
drawn = layer.renderer()
print("bands", drawn.redBand(), drawn.greenBand(), drawn.blueBand())
"""


@pytest.fixture(scope="module")
def process():
    """The executable: Debian's script adds a flag that its own version does not know."""
    found = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if found is None:
        pytest.skip("needs qgis_process on the PATH: apt-get install qgis python3-qgis")
    return found


@pytest.fixture(scope="module")
def profile(process, plugin, fusiontrain, tmp_path_factory):
    """(folder, environment) of a fresh profile with the plugin from its zip, and its setting."""
    home = tmp_path_factory.mktemp("qgis")
    home.chmod(0o700)
    profile = home / "data" / "QGIS" / "QGIS3" / "profiles" / "default"
    plugin("pack").pack(home / "panprior.zip")
    with zipfile.ZipFile(home / "panprior.zip") as archive:
        for name in archive.namelist():
            path = profile / "python" / "plugins" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
    settings = profile / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir()
    settings.write_text(
        "[PythonPlugins]\npanprior=true\n\n"
        f"[Processing]\nConfiguration\\PANPRIOR_FUSIONTRAIN={fusiontrain}\n"
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return profile, kept | {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(home),
        "QT_QPA_PLATFORM": "offscreen",
    }


@pytest.fixture
def qgis(process, profile):
    def run(algorithm, **values):
        words = [f"{key}={value}" for key, value in values.items()]
        done = subprocess.run(
            [process, "--json", "run", f"panprior:{algorithm}", "--", *words],
            env=profile[1],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        text = done.stdout[done.stdout.find("{") :]
        return done.returncode, json.loads(text) if text else {}, done.stderr

    return run


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The example, copied: QGIS writes a layer's statistics beside its file."""
    folder = tmp_path_factory.mktemp("scene")
    return tuple(shutil.copy(path, folder) for path in example_scene())


def pixels(path):
    with rasterio.open(path) as file:
        return file.read(), file.crs, file.transform


def test_pansharpen_gives_what_the_command_gives(qgis, fusiontrain, pair, tmp_path):
    """A picked band, softness and one of the methods, into the file that was asked for."""
    ours, theirs = tmp_path / "ours.tif", tmp_path / "qgis.tif"
    flags = ["--method", "GSA", "--softness", "0.5", "--bands", "3,2,1"]
    said = tmp_path / "ours.json"
    subprocess.run([fusiontrain, "fuse", *pair, ours, *flags, "--json", said], check=True)

    code, report, stderr = qgis(
        "pansharpen",
        PAN=pair[0],
        MS=pair[1],
        METHOD="GSA",
        SOFTNESS=0.5,
        BANDS="3;2;1",
        OUTPUT=theirs,
    )

    assert 0 == code, stderr
    assert str(theirs) == report["results"]["OUTPUT"]
    shift = [report["results"][name] for name in ("SHIFT_ROWS", "SHIFT_COLUMNS")]
    assert json.loads(said.read_text())["alignment"]["pan_shift"] == shift
    for one, other in zip(pixels(ours), pixels(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_quicklook_is_a_picture_in_its_place(qgis, pair, tmp_path):
    out = tmp_path / "picture.tif"

    code, _, stderr = qgis("quicklook", PAN=pair[0], MS=pair[1], METHOD="net", OUTPUT=out)

    assert 0 == code, stderr
    image, crs, _ = pixels(out)
    assert ("uint8", 3, 600, 600) == (image.dtype, *image.shape)
    assert "EPSG:32631" == crs


def test_a_folder_goes_on_after_a_failure(qgis, pair, tmp_path):
    """Two pairs, of which one is no image: one is fused, the other is named."""
    source, out = tmp_path / "scenes", tmp_path / "out"
    source.mkdir()
    for name in ("good", "bad"):
        shutil.copy(pair[0], source / f"{name}_pan.tif")
        shutil.copy(pair[1], source / f"{name}_ms.tif")
    (source / "bad_ms.tif").write_bytes(b"no image")

    code, report, stderr = qgis("pansharpenfolder", INPUT=source, METHOD="GSA", OUTPUT=out)

    assert 0 == code, stderr
    assert (1, 1) == (report["results"]["FUSED"], report["results"]["FAILED"])
    assert ["good.tif"] == [path.name for path in out.iterdir()]
    assert "bad: " in stderr + json.dumps(report)


def test_an_error_is_the_line_of_fusiontrain(qgis, pair, tmp_path):
    code, _, stderr = qgis(
        "pansharpen", PAN=pair[0], MS=pair[1], EXTRA="--sensor Sputnik", OUTPUT=tmp_path / "o.tif"
    )

    assert 0 != code
    assert "no sensor 'Sputnik'" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "o.tif").exists()


@pytest.fixture
def script(profile, fusiontrain, pair, tmp_path):
    """Runs a script after BEGIN by QGIS's Python, with fusiontrain on the PATH; its output."""
    python = Path("/usr/bin/python3")
    probe = [python, "-c", "import qgis.core"]
    if not python.exists() or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("needs QGIS's Python as /usr/bin/python3: apt-get install python3-qgis")

    def run(text):
        plugins = profile[0] / "python" / "plugins"
        words = [python, "-c", BEGIN + text, plugins, *pair, tmp_path / "o.tif"]
        done = subprocess.run(
            words,
            env=profile[1] | {"PATH": f"{fusiontrain.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    return run


def test_cancelling_leaves_nothing(script, tmp_path):
    """At the first line that fusiontrain says: the process ends, and no file is written."""
    said = script(CANCEL)

    assert "error: cancelled: nothing was written" in said
    assert "fine False" in said
    assert [] == list(tmp_path.iterdir())


def test_the_result_is_loaded_in_natural_colours(script):
    """The MS has blue, green, red and near infrared in this order."""
    said = script(LOAD)

    assert ["fine True", "bands 3 2 1"] == said.splitlines()[-2:]

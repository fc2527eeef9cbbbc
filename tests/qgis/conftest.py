"""Modules of the plugin that need no QGIS, by their paths."""

import importlib.util
import sys

import pytest

from tests.support.paths import ROOT


def load(path):
    spec = importlib.util.spec_from_file_location(f"qgis_plugin_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plugin():
    """Name -> module of qgis/panprior, or pack of qgis/."""
    folder = ROOT / "qgis"

    def find(name):
        return load(folder / "pack.py" if name == "pack" else folder / "panprior" / f"{name}.py")

    return find


@pytest.fixture(scope="session")
def fusiontrain(tmp_path_factory):
    """An executable that runs this checkout, whatever PYTHONPATH is."""
    path = tmp_path_factory.mktemp("environment") / "fusiontrain"
    path.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} OMP_NUM_THREADS=1 "
        f'exec {sys.executable} -m fusiontrain "$@"\n'
    )
    path.chmod(0o755)
    return path

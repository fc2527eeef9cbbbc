"""What many tests of fusiontrain share."""

import shutil
from functools import cache

import pytest
import torch

from tests.support.geotiffs import write_pair
from tests.support.networks import random_network, save_network


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A small network whose correction is random: tuning on a scene improves it."""
    sizes = {"width": 8, "blocks": 2}
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    return save_network(path, random_network(**sizes), **sizes)


@pytest.fixture
def one_thread():
    """Tensors this small cost more to share than to compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def odd_pair(tmp_path_factory):
    """Bands -> paths of a PAN of 148 x 92 and an MS of 37 x 23 pixels: multiples of nothing."""

    @cache
    def written(count):
        folder, rng = tmp_path_factory.mktemp("pair"), torch.Generator().manual_seed(2)
        pan, ms = (
            torch.rand(bands, 148 // scale, 92 // scale, generator=rng) * 900 + 100
            for bands, scale in ((1, 1), (count, 4))
        )
        return list(write_pair(folder, pan, ms))

    return written


@pytest.fixture(scope="session")
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install it")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    path = path or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs chromium on the PATH: apt-get install chromium")
    with sync.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()

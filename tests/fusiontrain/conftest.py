"""What many tests of fusiontrain share."""

import shutil

import pytest
import torch

from fusiontrain.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.models.registry import build_model


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A small network that changes what it is given, at random: a scene can teach it better."""
    torch.manual_seed(3)
    sizes = {"width": 8, "blocks": 2}
    net = build_model("anyband", **sizes)
    torch.nn.init.normal_(net.head.weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_checkpoint(path, net, CheckpointInfo(model="anyband", sizes=sizes, training={}))
    return path


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

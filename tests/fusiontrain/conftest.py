"""What many tests of fusiontrain share."""

import shutil
from functools import cache

import pytest
import rasterio
import torch
from rasterio.transform import Affine

from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
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
        folder, dice = tmp_path_factory.mktemp("pair"), torch.Generator().manual_seed(2)
        grid = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)
        common = {"driver": "GTiff", "dtype": "uint16", "crs": "EPSG:32633"}
        for name, bands, scale in (("pan", 1, 1), ("ms", count, 4)):
            image = torch.rand(bands, 148 // scale, 92 // scale, generator=dice) * 900 + 100
            shape = dict(zip(("count", "height", "width"), image.shape, strict=True))
            placed = {"transform": grid @ Affine.scale(scale), **shape, **common}
            with rasterio.open(folder / f"{name}.tif", "w", **placed) as file:
                file.write(image.round().numpy().astype("uint16"))
        return [str(folder / f"{name}.tif") for name in ("pan", "ms")]

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

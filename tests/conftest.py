"""Small photographs and builds that many tests share. Made once a session, never changed."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from shards.waiting_threads import let_threads_sleep
from tests.support.paths import SHARED
from tests.support.web_server import web  # noqa: F401 - a fixture

let_threads_sleep()  # torch is imported by the tests

# The same examples in each run, however slow the machine: what fails, fails for its code.
# To look for others: pytest --hypothesis-profile=default
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.load_profile("same")


_THREADS = []  # torch's own choice


def pytest_collection_finish():
    if "torch" in sys.modules:
        _THREADS.append(sys.modules["torch"].get_num_threads())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Before a test's fixtures: random numbers and threads do not depend on earlier tests."""
    if _THREADS:
        torch = sys.modules["torch"]
        torch.manual_seed(0)
        torch.set_num_threads(_THREADS[0])


def photograph(height: int, width: int, seed: int) -> Image.Image:
    """Something with edges, texture and colour."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 12, width // 12, 3), dtype=np.uint8)
    blocks = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    stripes = 25 * np.sin(np.arange(width) / 3)[None, :, None]
    noisy = blocks + stripes + rng.normal(0, 6, blocks.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def jpeg(height: int = 240, width: int = 300, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    photograph(height, width, seed).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_jpeg():
    return jpeg


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """A folder of eight good photographs, one in a subfolder, one a PNG."""
    root = tmp_path_factory.mktemp("photos")
    (root / "sub").mkdir()
    for i in range(6):
        (root / f"p{i}.jpg").write_bytes(jpeg(220 + 20 * i, 320 - 10 * i, i))
    (root / "sub" / "inner.jpeg").write_bytes(jpeg(260, 260, 7))
    photograph(300, 200, 8).save(root / "drawn.png")
    return root


@pytest.fixture(scope="session")
def small_build(photos, tmp_path_factory) -> Path:
    """A finished build: 24 samples of 64 pixels in four shards, of 4 and 3 bands in turn."""
    from dataclasses import replace

    from simgen.building.build import run_build
    from simgen.config import Build
    from simgen.recipes import find_recipe

    out = tmp_path_factory.mktemp("build") / "shards"
    build = Build(
        dataset="folder",
        source=photos,
        out=out,
        recipe=replace(find_recipe("sensor"), tile=64),
        bands=(4, 3),
        draws=3,
        shard_size=6,
        seed=5,
    )
    run_build(build, workers=1)
    return out


@pytest.fixture(scope="session")
def small_build_of():
    """(dataset, source, out, **changes) -> a build of 64-pixel samples, two draws an image."""
    from dataclasses import replace

    from simgen.config import Build
    from simgen.recipes import find_recipe

    def make(dataset: str, source: Path | None, out: Path, **changes) -> Build:
        options = {
            "dataset": dataset,
            "source": source,
            "out": out,
            "recipe": replace(find_recipe("sensor"), tile=64),
            "bands": (4,),
            "draws": 2,
            "shard_size": 6,
            "seed": 1,
        }
        return Build(**(options | changes))

    return make


@pytest.fixture
def shared():
    """A path below ../shared, or a skip that says what is missing."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"needs ../shared/{relative}, which is not here")
        return path

    return find

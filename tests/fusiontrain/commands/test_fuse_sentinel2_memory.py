"""A Sentinel-2 product in windows: memory stays, however large it is."""

import subprocess
import sys

import pytest
import rasterio

from tests.support import products

RUN = """
import sys
from fusiontrain.cli import main
from tests.support.peak_memory import peak_gibibytes
code = main(["fuse", *sys.argv[1:]])
print("GiB", peak_gibibytes())
sys.exit(code)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_product(tmp_path):
    """Twelve bands of 3600 x 3600: .58 GiB as float32, and several times that in between."""
    root, out = products.write_safe(tmp_path, size=3600, sparse=True), tmp_path / "out.tif"
    flags = ("--method", "gsa", "--register", "off", "--memory", "0.5", "--threads", "1")

    done = subprocess.run(
        [sys.executable, "-c", RUN, str(root), str(out), *flags],
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(done.stdout.rpartition("GiB")[2]) < 2.5
    with rasterio.open(out) as file:
        assert (file.count, file.shape) == (12, (3600, 3600))
        assert (file.read(5, window=((1800, 1900), (1800, 1900))) > 0).all()
        assert (file.read(5, window=((0, 100), (0, 100))) == 0).all()

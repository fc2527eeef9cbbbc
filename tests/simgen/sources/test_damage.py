"""Damaged archives: whatever bytes are wrong, our own error or a named image; little memory."""

import io
import random
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio

from shards.errors import PanpriorError
from simgen.building.image_check import MultibandImage, examine
from simgen.sources import open_source

TRIES = 40


def tar_bytes(images, kind):
    """Names that need extended headers, so that those are damaged too."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        for i, data in enumerate(images):
            info = tarfile.TarInfo("x" * 110 + f"{i}é.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_bytes(images):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, data in enumerate(images):
            archive.writestr(f"images2/n{i}_CH_19.jpg", data)
    return buffer.getvalue()


def parquet_bytes(images):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": data, "path": "p.JPEG"} for data in images], kind)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": cells, "label": [1] * len(images)}), buffer)
    return buffer.getvalue()


def tiff_bytes(_):
    image = np.random.default_rng(0).integers(0, 2000, (4, 80, 80)).astype(np.uint16)
    profile = {"count": 4, "height": 80, "width": 80, "dtype": "uint16", "compress": "deflate"}
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", **profile) as tiff:
            tiff.write(image)
        return memory.read()


# Source, name, bytes, and where its structure lies: most damage goes there.
FORMATS = {
    "pax": ("tar", "x.tar", lambda i: tar_bytes(i, tarfile.PAX_FORMAT), slice(0, 2600)),
    "gnu": ("tar", "x.tar", lambda i: tar_bytes(i, tarfile.GNU_FORMAT), slice(0, 1600)),
    "zip": ("skyscript", "images2.zip", zip_bytes, slice(-300, None)),
    "parquet": ("imagenet", "train-0.parquet", parquet_bytes, slice(-1500, None)),
    "tiff": ("folder", "x.tif", tiff_bytes, slice(0, 400)),
}


def damaged(data: bytes, structure: slice, rng: random.Random) -> bytes:
    out = bytearray(data)
    if rng.random() < 0.1:
        return bytes(out[: rng.randrange(len(out))])
    places = range(len(out))
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.choice(places[structure] if rng.random() < 0.8 else places)
        out[at] = rng.choice([0, 255, 127, ord("9"), rng.randrange(256)])
    return bytes(out)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_said_and_costs_no_memory(name, make_jpeg, tmp_path):
    """Nothing but PanpriorError; never more memory than the file's own few dozen kilobytes ask."""
    dataset, file, make, structure = FORMATS[name]
    data = make([make_jpeg(100, 110, i) for i in range(3)])
    rng = random.Random(name)
    limits = {"min_side": 64, "max_pixels": 10**8, "max_bytes": 10**8}
    usable = 0

    tracemalloc.start()
    for _ in range(TRIES):
        (tmp_path / file).write_bytes(damaged(data, structure, rng))
        try:
            for photo in open_source(dataset, tmp_path).photos:
                found = examine(photo, **limits)
                usable += found.verdict.usable
                if isinstance(found, MultibandImage):
                    found.crop((0, 0, 64, 64))
        except PanpriorError:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 20_000_000
    assert 0 < usable < 3 * TRIES

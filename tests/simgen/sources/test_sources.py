import pytest

from simgen.building.image_check import check_encoded
from simgen.errors import SourceError
from simgen.sources import open_source
from simgen.sources.demo import HELD_OUT, TRAINING

LIMITS = {"min_side": 96, "max_pixels": 100_000_000}


def test_a_folder_is_listed_in_an_order_of_its_own(photos):
    """Relative paths, sorted, subfolders too."""
    source = open_source("folder", photos)

    keys = [photo.key for photo in source.photos]
    assert sorted(keys) == keys
    assert "sub/inner.jpeg" in keys
    assert 8 == len(keys)


def test_a_missing_folder_says_what_to_do(tmp_path):
    """Expected, got, remedy."""
    with pytest.raises(SourceError, match="point `root` at a folder of images"):
        open_source("folder", tmp_path / "absent")
    with pytest.raises(SourceError, match="needs `root`"):
        open_source("folder", None)


def test_a_folder_without_images_is_no_source(tmp_path):
    """Other files do not count."""
    (tmp_path / "notes.txt").write_text("no pictures here")

    with pytest.raises(SourceError, match="no images"):
        open_source("folder", tmp_path)


def test_the_demo_keeps_its_held_out_photograph_apart(tmp_path):
    """What is judged was never trained on."""
    training, held = open_source("demo", None), open_source("demo", tmp_path / "held-out")

    assert set(TRAINING) == {p.key for p in training.photos}
    assert set(HELD_OUT) == {p.key for p in held.photos}
    assert not set(TRAINING) & set(HELD_OUT)
    assert training.digest != held.digest
    with pytest.raises(SourceError, match="held-out"):
        open_source("demo", tmp_path)


def huge_png(side: int) -> bytes:
    """A valid PNG header that claims side x side pixels, and little more."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def huge_jpeg(data: bytes, side: int) -> bytes:
    """The same photograph with a frame header that claims side x side pixels."""
    import struct

    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def test_each_bad_image_has_its_reason(make_jpeg):
    """Zero bytes, text, truncation, a bomb, a thumbnail."""
    good = make_jpeg()

    assert check_encoded(good, **LIMITS).usable
    assert "empty" in check_encoded(b"", **LIMITS).reason
    assert "not an image" in check_encoded(b"dear diary\n" * 50, **LIMITS).reason
    assert "truncated" in check_encoded(good[: len(good) // 2], **LIMITS).reason
    assert "900000000 pixels" in check_encoded(huge_png(30_000), **LIMITS).reason
    assert "900000000 pixels" in check_encoded(huge_jpeg(good, 30_000), **LIMITS).reason
    assert (
        "11000x11000 exceeds 100000000" in check_encoded(huge_jpeg(good, 11_000), **LIMITS).reason
    )
    assert "under 96" in check_encoded(make_jpeg(60, 60), **LIMITS).reason


def test_a_huge_header_costs_no_memory(make_jpeg):
    """2.7 GB are claimed; nothing near it is allocated."""
    import tracemalloc

    bombs = [huge_jpeg(make_jpeg(), 30_000), huge_jpeg(make_jpeg(), 11_000), huge_png(30_000)]

    tracemalloc.start()
    assert not any(check_encoded(bomb, **LIMITS).usable for bomb in bombs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2_000_000

"""GeoTIFFs of many bands enter band generation as they are: 4, 8 and 13 bands, 8 to 16 bits."""

import io
import tarfile

import numpy as np
import pytest
import rasterio
from PIL import Image

from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.tar import read_samples
from simgen.building import shard
from simgen.building.build import run_build
from simgen.building.image_check import EncodedImage, MultibandImage, examine
from simgen.errors import SourceError
from simgen.sources import open_source
from simgen.sources.raster import bit_depth, inspect, read_window

LIMITS = {"min_side": 64, "max_pixels": 10**8, "max_bytes": 10**8}


def bands_of(count: int, height: int, width: int, *, bits: int, seed: int) -> np.ndarray:
    """(C, H, W) digital numbers whose bands share little: what RGB could not hold."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, height // 10 + 1, width // 10 + 1))
    image = coarse.repeat(10, axis=1).repeat(10, axis=2)[:, :height, :width]
    return np.rint(image * 0.9 * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def write_tiff(path, image_CHW, **options):
    C, H, W = image_CHW.shape
    profile = {"driver": "GTiff", "count": C, "height": H, "width": W, "dtype": image_CHW.dtype}
    with rasterio.open(path, "w", **(profile | options)) as tiff:
        tiff.write(image_CHW)
    return path


@pytest.fixture
def rasters(tmp_path):
    """NAIP-like, WorldView-like and Sentinel-2-like files, and one that breaks off."""
    root = tmp_path / "tiffs"
    root.mkdir()
    naip = bands_of(4, 260, 240, bits=8, seed=1)
    write_tiff(
        root / "naip.tif", naip, tiled=True, blockxsize=64, blockysize=64, compress="deflate"
    )
    write_tiff(root / "wv.tif", bands_of(8, 200, 300, bits=11, seed=2), interleave="pixel")
    write_tiff(root / "s2.tiff", bands_of(13, 210, 220, bits=14, seed=3), nodata=0)
    write_tiff(root / "rgb16.tif", bands_of(3, 200, 200, bits=12, seed=6))
    cut = write_tiff(root / "cut.tif", bands_of(4, 260, 260, bits=11, seed=4))
    cut.write_bytes(cut.read_bytes()[:-90_000])
    return root


def test_they_become_shards_twice_alike(rasters, tmp_path, small_build_of, make_jpeg):
    """Beside a photograph, in mixed batches; the broken one named; the same bytes again."""
    (rasters / "photo.jpg").write_bytes(make_jpeg())
    options = {"draws": 6, "bands": (4, 8), "shard_size": 12}

    first = run_build(small_build_of("folder", rasters, tmp_path / "a", **options), workers=1)
    run_build(small_build_of("folder", rasters, tmp_path / "b", **options), workers=1)

    assert 30 == first.samples
    assert ["cut.tif"] == [r.source for r in first.rejected]
    assert "breaks off" in first.rejected[0].reason
    assert first.to_json() == Manifest.load(tmp_path / "b").to_json()
    made = {}
    for row in first.shards:
        for _, members in read_samples(tmp_path / "a" / row.name):
            gt, _, _, facts = decode_sample(members)
            made.setdefault(facts.source.partition("#")[0], []).append(gt)
    assert {"naip.tif", "wv.tif", "s2.tiff", "rgb16.tif", "photo.jpg"} == set(made)
    assert all(gt.std() > 1 for images in made.values() for gt in images)


def test_bands_reach_the_mix_unaltered(rasters, small_build_of, tmp_path, monkeypatch):
    """What the pipeline is given is rasterio's window over the depth; rows are as wide."""
    given = []
    true_run = shard.run

    def run(jobs, recipe, *, device):
        given.extend(jobs)
        return true_run(jobs, recipe, device=device)

    monkeypatch.setattr(shard, "run", run)
    for name in ("naip.tif", "s2.tiff", "rgb16.tif"):
        (rasters / name).unlink()
    build = small_build_of("folder", rasters, tmp_path / "s", bands=(5,))
    run_build(build, workers=1)

    with rasterio.open(rasters / "wv.tif") as tiff:
        whole = tiff.read().transpose(1, 2, 0).astype(np.float32) / np.float32(2047)
    assert 2 == len(given)
    for job in given:
        assert (5, 8) == job.draw.rows_DF[:5].shape
        h, w, C = job.image.shape
        assert 8 == C
        views = np.lib.stride_tricks.sliding_window_view(whole, (h, w), axis=(0, 1))
        found = (views[..., 0, 0] == job.image[0, 0]).all(-1)
        assert any(np.array_equal(whole[i : i + h, j : j + w], job.image)
                   for i, j in np.argwhere(found))  # fmt: skip


def test_depths_are_those_of_the_numbers(rasters):
    """8, 11 and 14 bits by the values; by the NBITS tag where a file has it; reflectance."""

    def depth(path):
        return bit_depth(path, inspect(path))

    assert [8, 11, 14] == [depth(rasters / name) for name in ("naip.tif", "wv.tif", "s2.tiff")]
    dark = write_tiff(rasters / "n.tif", bands_of(4, 64, 64, bits=9, seed=5), nbits=12)
    assert 12 == depth(dark)
    light = np.linspace(0, 1.2, 4 * 64 * 64, dtype=np.float32).reshape(4, 64, 64)
    path = write_tiff(rasters / "f.tif", light)
    assert 0 == depth(path)
    np.testing.assert_array_equal(
        light[:, 3:9, 5:9].transpose(1, 2, 0).clip(0, 1),
        read_window(path, inspect(path), 0, (3, 5, 6, 4)),
    )


def photograph_tiff(mode, **options) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (80, 90, 4), np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, "TIFF", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_tiff_may_be_a_photograph(tmp_path, mode):
    """8 bits of grey, RGB, RGBA or a palette go to DALI as ever."""
    (tmp_path / "x.tif").write_bytes(photograph_tiff(mode))
    (photo,) = open_source("folder", tmp_path).photos

    found = examine(photo, **LIMITS)

    assert isinstance(found, EncodedImage)
    assert found.verdict.usable
    assert 3 == found.verdict.channels


def test_members_of_tars_are_read_the_same(rasters, tmp_path):
    """From a slice of an archive as from a file."""
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.add(rasters / "wv.tif", "wv.tif")
    (inside,) = open_source("tar", tmp_path / "t.tar").photos
    outside = next(p for p in open_source("folder", rasters).photos if p.key == "wv.tif")

    one, other = examine(inside, **LIMITS), examine(outside, **LIMITS)

    assert isinstance(one, MultibandImage)
    assert one.verdict == other.verdict
    np.testing.assert_array_equal(one.crop((5, 6, 70, 80)), other.crop((5, 6, 70, 80)))


def test_each_unusable_raster_has_its_reason(tmp_path):
    """Two bands of 16 bits, mostly nodata, declared or not, complex, too small, a bomb's header."""
    image = bands_of(4, 100, 100, bits=11, seed=1)
    empty = image.copy()
    empty[:, :80] = 0
    write_tiff(tmp_path / "two.tif", image[:2])
    write_tiff(tmp_path / "empty.tif", empty, nodata=0)
    write_tiff(tmp_path / "fill.tif", np.where(empty, empty, np.finfo("f4").min).astype("f4"))
    write_tiff(tmp_path / "complex.tif", image.astype(np.complex64))
    write_tiff(tmp_path / "small.tif", image[:, :50])
    vast = {"height": 2_000_000, "width": 2_000_000, "tiled": True, "SPARSE_OK": True}
    vast |= {"blockxsize": 65536, "blockysize": 65536, "BIGTIFF": "YES"}
    with rasterio.open(tmp_path / "vast.tif", "w", driver="GTiff", count=4, dtype="uint16", **vast):
        pass
    (tmp_path / "text.tif").write_bytes(b"II*\0" + b"no directory follows" * 9)

    reasons = {p.key: examine(p, **LIMITS).verdict.reason
               for p in open_source("folder", tmp_path).photos}  # fmt: skip

    assert "2 bands of uint16; expected at least 3" in reasons["two.tif"]
    assert "80 % of it is nodata" in reasons["empty.tif"]
    assert "80 % of it is nodata" in reasons["fill.tif"]
    assert "complex64; expected real numbers" in reasons["complex.tif"]
    assert "100x50 is under 64" in reasons["small.tif"]
    assert "claims 4 bands of 2000000x2000000" in reasons["vast.tif"]
    assert "is no readable TIFF" in reasons["text.tif"]


def test_no_file_beside_a_tiff_is_read(rasters, tmp_path):
    """A VRT named .tif, and side files that point elsewhere, are nobody's business."""
    vrt = tmp_path / "x.tif"
    vrt.write_text(f'<VRTDataset rasterXSize="9"><x>{rasters / "wv.tif"}</x></VRTDataset>')

    with pytest.raises(SourceError, match="no readable TIFF"):
        inspect(vrt)


def test_the_digest_follows_the_pixels(rasters):
    """A value altered in place: same size, same name."""
    before = open_source("folder", rasters).digest
    data = bytearray((rasters / "wv.tif").read_bytes())
    data[-5] ^= 1
    (rasters / "wv.tif").write_bytes(data)

    assert before != open_source("folder", rasters).digest

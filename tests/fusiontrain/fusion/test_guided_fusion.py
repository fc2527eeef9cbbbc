import json

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine
from rasterio.windows import Window

from fusiontrain import pansharpen
from fusiontrain.classical import METHODS
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.imaging.pan_batch import PanBatch
from tests.support.guided_scenes import GRID, GUIDES, lowered, sharp_bands, write_bands
from tests.support.networks import batch_of, random_network

COARSE = ("B05", "B11", "B12")
COARSEST = ("B01", "B09")


@pytest.fixture
def files(tmp_path):
    """Guides of 192 pixels, three bands of ratio 2, two of ratio 6."""
    bands = sharp_bands(9, 192, seed=4)
    guides, twice, six = bands[:4], lowered(bands[4:7], 2), lowered(bands[7:], 6)
    return (
        write_bands(tmp_path, GUIDES, guides, 1),
        write_bands(tmp_path, COARSE, twice, 2),
        write_bands(tmp_path, COARSEST, six, 6),
    )


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def stacked(paths):
    return np.stack([read(path)[0] for path in paths])


@pytest.mark.parametrize("method", ["gsa", "glp-hpm-r", "net"])
def test_command_rio_and_python_give_the_same_pixels(files, tmp_path, method):
    guides, ms, _ = files
    outs = [tmp_path / f"{i}.tif" for i in range(2)]
    flags = ["--method", method, "-q"]
    assert main(["fuse", "--guide", *guides, "--", *ms, str(outs[0]), *flags]) == 0
    from click.testing import CliRunner
    from rasterio.rio.main import main_group

    arguments = ["fuse", "--guide", *guides, "--", *ms, str(outs[1]), *flags]
    assert CliRunner().invoke(main_group, arguments).exit_code == 0
    of_files = pansharpen(guides, ms, method=method)
    of_arrays = pansharpen(stacked(guides), stacked(ms), method=method)
    for other in (read(outs[1]), of_files, of_arrays):
        np.testing.assert_array_equal(other, read(outs[0]))
    assert of_files.shape == (3, 192, 192)
    assert of_files.dtype == np.uint16


def test_bands_of_two_ratios_and_the_guides_in_one_file(files, tmp_path):
    guides, twice, six = files
    out, report = tmp_path / "o.tif", tmp_path / "o.json"
    mixed = [six[0], *twice, six[1]]
    assert main(["fuse", "--guide", *guides, "--keep-guides", "--json", str(report), "-q", "--",
                 *mixed, str(out), "--method", "gsa"]) == 0  # fmt: skip
    with rasterio.open(out) as file:
        assert file.descriptions == (*GUIDES, "B01", *COARSE, "B09")
        assert file.transform == GRID
        assert file.shape == (192, 192)
        assert "B09: synthesis, local, R2" in file.tags()["PANPRIOR_GUIDES"]
        fused = file.read()
    np.testing.assert_array_equal(fused[:4], stacked(guides))
    # Each grid's bands are those that it gives alone.
    np.testing.assert_array_equal(fused[5:8], pansharpen(guides, twice, method="gsa"))
    np.testing.assert_array_equal(fused[[4, 8]], pansharpen(guides, six, method="gsa"))
    rows = json.loads(report.read_text())["guides"]["bands"]
    assert [row["band"] for row in rows] == ["B01", *COARSE, "B09"]
    assert [row["ratio"] for row in rows] == [6, 2, 2, 2, 6]


def test_bands_pick_and_order_the_output(files):
    guides, twice, six = files
    options = {"method": "exp", "keep_guides": True, "register": False}
    every = pansharpen(guides, [*twice, *six], **options)
    some = pansharpen(guides, [*twice, *six], bands=(9, 1, 6), **options)
    np.testing.assert_array_equal(some, every[[8, 0, 5]])
    arrays = stacked(guides), stacked(twice)
    picked = pansharpen(*arrays, bands=(7, 2), **options)
    np.testing.assert_array_equal(picked, every[[6, 1]])


@pytest.mark.parametrize("method", ["gsa", "sr-d", "bt-h"])
def test_windows_fuse_as_the_whole(files, method):
    guides, twice, six = files
    images = [
        pansharpen(guides, [*twice, *six], method=method, window=window) for window in (72, 192)
    ]
    # SR-D solves for each window anew, whichever is asked for.
    assert np.abs(images[0].astype(int) - images[1]).max() <= 1


@pytest.mark.parametrize("method", ["net"])
def test_a_networks_windows_fuse_as_the_whole(files, method):
    guides, twice, six = files
    images = [
        pansharpen(guides, [*twice, *six], method=method, window=window).astype(int)
        for window in (96, 192)
    ]
    assert np.abs(images[0] - images[1]).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["glp-fs-soft", "net"])
def test_threads_change_no_pixel(files, method):
    """Bands of two ratios; a network's are corrected."""
    guides, twice, six = files
    alone, shared = (
        pansharpen(guides, [*twice, *six], method=method, window=96, threads=threads)
        for threads in (1, 3)
    )
    np.testing.assert_array_equal(alone, shared)


def test_a_band_its_guides_do_not_explain_keeps_near_its_own_detail(files, tmp_path):
    guides, *_ = files
    noise = torch.from_numpy(np.random.default_rng(7).normal(1500, 100, (1, 96, 96))).float()
    path = write_bands(tmp_path, ["B10"], noise.round(), 2)
    fused = pansharpen(guides, path, method="glp-fs").astype(float)
    alone = pansharpen(guides, path, method="exp").astype(float)
    assert np.abs(fused - alone).std() < 0.1 * alone.std()


def test_what_the_guides_explain_little_of_is_said(files, tmp_path, capsys):
    guides, *_ = files
    noise = torch.from_numpy(np.random.default_rng(7).normal(1500, 100, (1, 96, 96))).float()
    path = write_bands(tmp_path, ["B10"], noise.round(), 2)
    out = str(tmp_path / "o.tif")
    assert main(["fuse", "--guide", *guides, "--", *path, out, "--method", "exp"]) == 0
    assert "explain little of B10" in capsys.readouterr().out


def test_a_bbox_is_cut_to_pixels_of_every_grid(files):
    guides, twice, six = files
    left, top = GRID @ (30, 42)
    right, bottom = GRID @ (130, 140)
    part = pansharpen(
        guides, [*twice, *six], method="exp", keep_guides=True, bbox=(left, bottom, right, top)
    )
    with rasterio.open(guides[0]) as file:
        own = file.read(1, window=Window(30, 42, part.shape[2], part.shape[1]))
    np.testing.assert_array_equal(part[0], own)
    assert part.shape[1] % 6 == part.shape[2] % 6 == 0


def test_grids_that_begin_at_no_common_pixel_are_refused(files, tmp_path):
    guides, twice, _ = files
    moved = GRID @ Affine.translation(1, 0)
    odd = write_bands(tmp_path, ["B01"], sharp_bands(1, 48), 4, grid=moved)
    with pytest.raises(SceneError, match="begin at no common pixel"):
        pansharpen(guides, [*twice, *odd], method="exp")


def test_missing_pixels_of_a_guide_are_missing(files, tmp_path):
    guides, twice, _ = files
    images = torch.from_numpy(stacked(guides).astype("float32"))
    images[:, :20, :30] = 0
    holes = write_bands(tmp_path, ["a", "b", "c", "d"], images, 1, nodata=0)
    fused = pansharpen(holes, twice, method="glp-fs", nodata=0)
    assert (fused[:, :20, :30] == 0).all()
    assert (fused[:, 24:, 34:] > 0).all()


def test_what_guides_do_not_go_with_is_named(files):
    guides, twice, _ = files
    with pytest.raises(SceneError, match="`adapt`"):
        pansharpen(guides, twice, adapt=5)
    with pytest.raises(SceneError, match="`match`"):
        pansharpen(guides, twice, match=True)
    with pytest.raises(SceneError, match="from 1 to 3"):
        pansharpen(guides, twice, bands=(4,), method="exp")
    with pytest.raises(SceneError, match="guides alone"):
        pansharpen(guides, twice, bands=(1,), method="exp", keep_guides=True)


def test_keep_guides_without_guides_is_refused(files, capsys):
    guides, twice, _ = files
    assert main(["fuse", guides[0], *twice, "o.tif", "--keep-guides"]) == 2
    assert "--guide" in capsys.readouterr().err


def pan_of_each_band(batch):
    noise = torch.Generator().manual_seed(9)
    pans = batch.pan + 50 * torch.randn(*batch.ms.shape[:2], 1, 1, generator=noise)
    pans = pans * (1 + 0.1 * torch.rand(pans.shape, generator=noise))
    return PanBatch(
        ms=batch.ms, pan=pans, ratio=batch.ratio, mtf=batch.mtf, softness=batch.softness
    )


def alone(batch, band):
    one = slice(band, band + 1)
    return PanBatch(
        ms=batch.ms[:, one],
        pan=batch.pan[:, one],
        ratio=batch.ratio,
        mtf=batch.mtf[:, one],
        softness=batch.softness[:, one],
    )


@pytest.mark.parametrize("model", ["anyband", "anyband-sensor", "anyband-scene"])
def test_a_network_fuses_each_band_by_its_own_pan(model):
    net, batch = random_network(model, width=8, blocks=1), pan_of_each_band(batch_of(size=2))
    with torch.no_grad():
        fused = net(batch)
        for band in range(4):
            own = net(alone(batch, band))
            torch.testing.assert_close(fused[:, band : band + 1], own, atol=2e-3, rtol=0)


@pytest.mark.parametrize("model", ["anyband-sensor", "anyband-scene"])
def test_the_step_is_done_once_where_rows_are_not_computed_apart(model):
    net, batch = random_network(model, width=8, blocks=1), batch_of(h=24, w=24)
    rows, columns = slice(32, 64), slice(32, 64)
    with torch.no_grad():
        whole, part = net(batch), net.forward_part(batch, rows, columns)
    # Without statistics a part's filters see the whole: only the step's own border differs.
    torch.testing.assert_close(part, whole[..., rows, columns], atol=0.05, rtol=0)


@pytest.mark.parametrize("method", ["GSA", "MTF-GLP-HPM-R", "BT-H"])
def test_a_method_fuses_each_band_by_its_own_pan(method):
    batch = pan_of_each_band(batch_of())
    fused = METHODS[method].fuse(batch)
    for band in range(4):
        own = METHODS[method].fuse(alone(batch, band))
        torch.testing.assert_close(fused[:, band : band + 1], own)


def test_one_pan_serves_all_bands_as_it_did():
    batch = batch_of()
    assert not batch.pan_per_band
    assert batch.one_band_each().pan.shape == (4, 1, 32, 40)

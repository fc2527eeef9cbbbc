"""The bench of whole scenes in small: what it writes, and a run."""

import pytest
import rasterio

from bench.speed import whole_scenes


@pytest.mark.parametrize("filled", [1, 3])
def test_a_sparse_pair_holds_what_it_says(tmp_path, monkeypatch, filled):
    """Data where it counts them, the middle included; nodata elsewhere, not even written."""
    monkeypatch.setattr(whole_scenes, "CHUNK", 512)

    pan, ms, data = whole_scenes.write_pair(tmp_path, 2600, 3, filled=filled)

    with rasterio.open(pan) as fine, rasterio.open(ms) as coarse:
        assert ((1, 2600, 2600), (3, 650, 650)) == tuple(
            (file.count, file.height, file.width) for file in (fine, coarse)
        )
        seen = fine.read(1) > 0
        assert data == int(seen.sum())
        assert seen[1300, 1300]
        assert (filled == 1) == bool(seen.all())
        low = (coarse.read() > 0).all(0)
    assert (low.repeat(4, 0).repeat(4, 1) == seen).all()
    assert filled == 1 or pan.stat().st_size < 0.6 * 2 * seen.size  # uint16


@pytest.mark.slow
def test_a_row_a_scene_and_method(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(whole_scenes, "CHUNK", 512)
    given = ["--slope", "0.25", "--sparse", "1024", "--filled", "4", "--bands", "3"]

    assert 0 == whole_scenes.main([*given, "--methods", "brovey", "--room", str(tmp_path)])

    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [["0.3", "0.3"], ["1.0", "0.5"]] == [[cell.strip() for cell in row[:2]] for row in rows]
    peaks, seconds = ([float(row[i]) for row in rows] for i in (4, 5))
    assert all(100 < peak < 3072 for peak in peaks)
    assert min(seconds) > 0
    assert [] == list(tmp_path.iterdir())

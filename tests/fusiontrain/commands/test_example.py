"""The scene inside the package."""

import rasterio
from rasterio.warp import transform_bounds

import fusiontrain
from fusiontrain.cli import main
from fusiontrain.scenes.discovery import find_scenes


def test_it_lies_where_rotterdam_does():
    """The city's bounds, by its own page of figures: 51.86 to 51.99 N, 3.94 to 4.60 E."""
    for path, side, metres in zip(fusiontrain.example_scene(), (600, 150), (0.5, 2), strict=True):
        with rasterio.open(path) as file:
            west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
            assert (side, side) == file.shape
            assert abs(file.res[0] - metres) < 0.001
            assert "CC BY-SA 4.0" in file.tags()["TIFFTAG_COPYRIGHT"]
        assert 3.94 < west < east < 4.60
        assert 51.86 < south < north < 51.99


def test_its_sensor_and_bands_are_known():
    (entry,) = find_scenes([fusiontrain.example_scene()[0].parent])
    scene = entry.load()

    assert "WorldView-2" == scene.sensor.name
    assert ("blue", "green", "red", "nir1") == scene.sensor.bands
    assert 11 == scene.bits


def test_the_command_writes_it_and_says_how_to_fuse_it(tmp_path, capsys, monkeypatch):
    """The line that it prints is one that works."""
    monkeypatch.chdir(tmp_path)

    assert 0 == main(["example"])
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("try: fusiontrain fuse example/")
    assert 0 == main([*line.split()[2:], "--method", "gsa"])

    names = {path.name for path in (tmp_path / "example").iterdir()}
    pair = {path.name for path in fusiontrain.example_scene()}
    beside = {"WorldView-2_Rotterdam.json", "LICENCE.md"}
    assert pair | beside | {"fused.tif", "fused.png"} <= names
    with rasterio.open("example/fused.tif") as file:
        assert (4, 600, 600) == (file.count, *file.shape)
        assert "CC BY-SA 4.0" in file.tags()["TIFFTAG_COPYRIGHT"]


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").touch()

    assert 2 == main(["example", str(tmp_path / "file")])
    assert "it is no folder" in capsys.readouterr().err

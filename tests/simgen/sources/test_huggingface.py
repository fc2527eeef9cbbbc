"""Image columns as Hugging Face `datasets` writes them: save_to_disk, parquet, the Hub."""

from pathlib import Path

import datasets
import pytest

from shards.manifest import Manifest
from simgen.building.build import run_build
from simgen.cli import main
from simgen.errors import SourceError
from simgen.sources import open_source


@pytest.fixture(scope="module")
def images(make_jpeg):
    return [make_jpeg(seed=i) for i in range(5)]


@pytest.fixture(scope="module")
def rows(images):
    """Five photographs in the column `photo`, and their captions."""
    features = datasets.Features({"photo": datasets.Image(), "text": datasets.Value("string")})
    cells = [{"bytes": data, "path": None} for data in images]
    return datasets.Dataset.from_dict({"photo": cells, "text": [*"abcde"]}, features=features)


@pytest.fixture(params=["save_to_disk", "splits", "parquet", "one file"])
def form(request, rows, tmp_path):
    """(path, split) of each form in which a data set lies on a disk."""
    root = tmp_path / "set"
    if request.param == "save_to_disk":
        rows.save_to_disk(str(root), num_shards=2)
        return root, None
    if request.param == "splits":
        datasets.DatasetDict({"test": rows}).save_to_disk(str(root))
        return root, "test"
    (root / "data").mkdir(parents=True)
    path = root / "data" / "train-00000-of-00001.parquet"
    rows.to_parquet(str(path), batch_size=2)
    return (root, "train") if request.param == "parquet" else (path, None)


def test_the_images_are_those_that_datasets_gives(form, images):
    root, split = form

    photos = open_source("huggingface", root, split=split).photos

    assert images == [photo.read() for photo in photos]
    assert len(images) == len({photo.key for photo in photos})


def test_they_become_shards_twice_alike(images, tmp_path, small_build_of):
    """With a cell that is empty, which is named; the digest follows the bytes."""
    features = datasets.Features({"photo": datasets.Image()})
    cells = [{"bytes": data, "path": None} for data in images]
    cells[3] = None
    rows = datasets.Dataset.from_dict({"photo": cells}, features=features)
    rows.save_to_disk(str(tmp_path / "set"))
    first = run_build(small_build_of("huggingface", tmp_path / "set", tmp_path / "a"), workers=1)
    run_build(small_build_of("huggingface", tmp_path / "set", tmp_path / "b"), workers=1)

    assert 8 == first.samples
    assert ["the row holds no image"] == [r.reason for r in first.rejected]
    assert first.to_json() == Manifest.load(tmp_path / "b").to_json()
    before = open_source("huggingface", tmp_path / "set").digest
    path = next((tmp_path / "set").glob("*.arrow"))
    data = bytearray(path.read_bytes())
    data[data.index(images[1]) + 3000] ^= 1
    path.write_bytes(data)
    assert before != open_source("huggingface", tmp_path / "set").digest


def test_of_two_image_columns_one_is_named(images, tmp_path):
    cells = [{"bytes": data, "path": None} for data in images]
    features = datasets.Features({"a": datasets.Image(), "b": datasets.Image()})
    two = datasets.Dataset.from_dict({"a": cells, "b": cells[::-1]}, features=features)
    two.to_parquet(str(tmp_path / "x.parquet"))

    with pytest.raises(SourceError, match=r"in the columns a, b; name one"):
        open_source("huggingface", tmp_path)
    named = open_source("huggingface", tmp_path, filters=("column==b",))
    assert images[::-1] == [photo.read() for photo in named.photos]


def test_the_hub_is_asked_through_datasets(rows, images, tmp_path, monkeypatch):
    """owner/name; here a builder of local files answers. Other formats than parquet are refused."""
    rows.to_parquet(str(tmp_path / "0000.parquet"))
    (tmp_path / "0.tar").write_bytes(b"")
    asked = []
    real = datasets.load_dataset_builder
    files = {"train": [str(tmp_path / "0000.parquet")], "tars": [str(tmp_path / "0.tar")]}

    def load(path, **options):
        asked.append((path, options))
        return real("parquet", data_files=files)

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    hub = Path("some/images")
    source = open_source("huggingface", hub, filters=("config==small",))

    assert [("some/images", {"name": "small"})] == asked
    assert images == [photo.read() for photo in source.photos]
    with pytest.raises(SourceError, match=r"holds 0.tar, no parquet"):
        open_source("huggingface", hub, split="tars")


@pytest.mark.parametrize(
    ("files", "flags", "word"),
    [
        ({}, [], "no data set at"),
        ({"x.parquet": b"no parquet"}, [], "cannot read"),
        ({"x.arrow": b"no arrow"}, [], "cannot read"),
        ({}, ["--filter", "gsd<=1"], "takes --filter column==NAME"),
        ({}, ["--filter", "config==x"], "is on disk"),
    ],
)
def test_what_is_no_data_set_is_one_line(tmp_path, files, flags, word, capsys):
    root = tmp_path / "set"
    root.mkdir()
    for name, data in files.items():
        (root / name).write_bytes(data)
    where = ["--source", str(root), "--out", str(tmp_path / "out")]

    assert 2 == main(["build", "--dataset", "huggingface", *where, *flags])
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

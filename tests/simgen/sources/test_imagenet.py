"""ImageNet in every form in which it comes: class folders, parquet, the original tars, the Hub."""

import io
import tarfile

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.manifest import Manifest
from shards.schema import KEY_GRAMMAR
from simgen.building.build import run_build
from simgen.cli import main
from simgen.errors import BuildError, SourceError
from simgen.sources import open_source
from simgen.sources.parquet import Cell

CLASSES = {"n01440764": "tench", "n01443537": "goldfish"}


@pytest.fixture(scope="module")
def photographs(make_jpeg):
    """(class, file name, bytes) as in the training set; the last is cut."""
    rows = [
        (name, f"{name}_{10 * i}.JPEG", make_jpeg(seed=10 * c + i))
        for c, name in enumerate(CLASSES)
        for i in range(2)
    ]
    return [*rows, ("n01443537", "n01443537_99.JPEG", make_jpeg()[:3000])]


def tar_of(members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_340_000_000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def folders(photographs, tmp_path):
    """train/CLASS/NAME.JPEG, as the validation script leaves it."""
    for name, file, data in photographs:
        (tmp_path / "in" / "train" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / "train" / name / file).write_bytes(data)
    return tmp_path / "in"


@pytest.fixture
def tars(photographs, tmp_path):
    """ILSVRC2012_img_train.tar: one tar of each class inside; ILSVRC2012_img_val.tar: flat."""
    root = tmp_path / "in"
    root.mkdir()
    inner = [
        (f"{name}.tar", tar_of([(f, d) for n, f, d in photographs if n == name]))
        for name in CLASSES
    ]
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    flat = [(f"ILSVRC2012_val_{i:08d}.JPEG", d) for i, (_, _, d) in enumerate(photographs[:3], 1)]
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_of(flat))
    return root


@pytest.fixture
def parquet(photographs, tmp_path):
    """data/train-0000I-of-00002.parquet with the Hub's features, two rows a group."""
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES.values()))}
    )
    (tmp_path / "in" / "data").mkdir(parents=True)
    for i, part in enumerate((photographs[:3], photographs[3:])):
        rows = {
            "image": [{"bytes": data, "path": file} for _, file, data in part],
            "label": [list(CLASSES).index(name) for name, _, _ in part],
        }
        table = pa.table(rows, schema=features.arrow_schema)
        path = tmp_path / "in" / "data" / f"train-{i:05d}-of-00002.parquet"
        pq.write_table(table, path, row_group_size=2)
    return tmp_path / "in"


@pytest.mark.parametrize("form", ["folders", "tars", "parquet"])
def test_every_form_becomes_shards_twice_alike(
    form, photographs, tmp_path, small_build_of, request
):
    """The same photographs, read without unpacking; the cut one named; the same bytes again."""
    root = request.getfixturevalue(form)
    before = sorted(root.rglob("*"))
    source = open_source("imagenet", root)
    assert sorted(d for *_, d in photographs) == sorted(p.read() for p in source.photos)

    first = run_build(small_build_of("imagenet", root, tmp_path / "a"), workers=1)
    run_build(small_build_of("imagenet", root, tmp_path / "b"), workers=1)

    assert 8 == first.samples
    assert ["truncated"] == [r.reason[r.reason.index("trunc") :][:9] for r in first.rejected]
    assert "imagenet-train" == first.source
    assert "non-commercial" in first.licence
    assert first.to_json() == Manifest.load(tmp_path / "b").to_json()
    assert before == sorted(root.rglob("*"))


def test_parquet_is_what_datasets_streams(parquet):
    """Row by row as `datasets` itself gives them, image undecoded."""
    files = [str(p) for p in sorted((parquet / "data").glob("*.parquet"))]
    streamed = datasets.load_dataset(
        "parquet", data_files={"train": files}, split="train", streaming=True
    )
    rows = streamed.cast_column("image", datasets.Image(decode=False))
    source = open_source("imagenet", parquet)

    assert [row["image"]["bytes"] for row in rows] == [p.read() for p in source.photos]
    assert (0, 2, 3) == source.blocks
    assert all(KEY_GRAMMAR.fullmatch(photo.key) for photo in source.photos)


def test_the_hub_is_asked_through_datasets(parquet, photographs, monkeypatch):
    """No --source: `datasets` says where the files lie; here its builder of local files does."""
    files = {"train": [str(p) for p in sorted((parquet / "data").glob("*.parquet"))]}
    asked = []
    real = datasets.load_dataset_builder

    def load(name, **options):
        asked.append(name)
        return real("parquet", data_files=files)

    monkeypatch.setattr(datasets, "load_dataset_builder", load)
    source = open_source("imagenet", None)

    assert ["ILSVRC/imagenet-1k"] == asked
    assert [data for *_, data in photographs] == [photo.read() for photo in source.photos]
    with pytest.raises(SourceError, match="no split 'validation'"):
        open_source("imagenet", None, split="validation")


def test_a_closed_hub_says_how_to_log_in(tmp_path, monkeypatch, capsys):
    """Gated or out of reach: one line, what to do, exit code 2."""

    def load(name):
        raise datasets.exceptions.DatasetNotFoundError(
            f"Dataset '{name}' is a gated dataset on the Hub. You must be authenticated."
        )

    monkeypatch.setattr(datasets, "load_dataset_builder", load)

    assert 2 == main(["build", "--dataset", "imagenet", "--out", str(tmp_path / "out")])
    message = capsys.readouterr().err
    assert "gated dataset" in message
    assert "huggingface-cli login" in message
    assert "HF_TOKEN" in message
    assert "Traceback" not in message


def test_a_broken_connection_stops_and_rejects_nothing():
    """An image that could not be fetched is not a bad image."""
    with pytest.raises(BuildError, match="it resumes"):
        Cell("memory://nowhere/train-0.parquet", 0, 0).read()


def test_splits(tars, folders, parquet):
    """The flat validation tar; a split that is not there."""
    assert 3 == len(open_source("imagenet", tars, split="validation").photos)
    assert 5 == len(open_source("imagenet", tars, split="train").photos)
    with pytest.raises(SourceError, match="train, validation, test"):
        open_source("imagenet", tars, split="val2")


def test_the_digest_follows_the_data(tars, photographs):
    """The same file sizes, another photograph inside."""
    path = tars / "ILSVRC2012_img_train.tar"
    before = open_source("imagenet", tars).digest
    data = bytearray(path.read_bytes())
    data[data.index(photographs[1][2]) + 3000] ^= 1
    path.write_bytes(data)

    assert before != open_source("imagenet", tars).digest


def test_row_groups_are_read_once_a_shard(parquet):
    """Neighbours stay together after the shuffle, and every pair appears once."""
    source = open_source("imagenet", parquet)

    order = source.order(draws=3, seed=1)

    assert list(range(15)) == sorted(order)
    assert order.tolist() != list(range(15))


def test_large_row_groups_stay_together():
    """A thousand groups of a hundred: a shard of 128 touches four at most, all get mixed."""
    from simgen.sources.source import Source

    starts = tuple(range(0, 100_000, 100))
    source = Source(name="x", licence="", photos=range(100_000), digest="", blocks=starts)

    order = source.order(draws=1, seed=0)

    np.testing.assert_array_equal(np.sort(order), np.arange(100_000))
    assert max(len(set((s // 100).tolist())) for s in np.split(order[:99_840], 780)) <= 6
    assert abs(np.corrcoef(order, np.arange(100_000))[0, 1]) < 0.15  # of groups in random order


@pytest.mark.parametrize("text", ["no parquet", "PAR1 but not really PAR1"])
def test_what_is_no_parquet_is_one_line(tmp_path, text):
    """Named, with what was expected."""
    (tmp_path / "train-0.parquet").write_text(text)
    with pytest.raises(SourceError, match=r"cannot read .*train-0\.parquet"):
        open_source("imagenet", tmp_path)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "train-0.parquet")
    with pytest.raises(SourceError, match="columns text; expected one column of struct"):
        open_source("imagenet", tmp_path)
    with pytest.raises(SourceError, match="the Hub is asked"):
        open_source("imagenet", tmp_path / "absent")


def test_a_plan_of_a_million_samples_is_small(tmp_path, small_build_of):
    """Samples are made when their shard's turn comes, and travel to workers as themselves."""
    import pickle
    import tracemalloc

    from simgen.building.plan import Plan
    from simgen.sources.source import Source
    from simgen.sources.table import Table

    table = Table()
    table.open_archive(tmp_path / "images2.zip")
    for i in range(2000):
        table.add_zipped(f"images2/a{i}_CH_19.jpg", i, 9, 9, crc=i, deflated=False)
    source = Source(name="x", licence="", photos=table, digest="d")
    build = small_build_of("skyscript", tmp_path, tmp_path / "out", draws=500, shard_size=128)

    tracemalloc.start()
    tasks = Plan(build=build, source=source).tasks()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 1_000_000 == sum(len(task.samples) for task in tasks)
    assert peak < 40_000_000
    data = pickle.dumps(tasks[7])
    there = pickle.loads(data)
    assert len(data) < 100_000  # its own images, not the listing
    assert list(there.samples) == list(tasks[7].samples)
    assert 7 * 128 == there.samples[0].number

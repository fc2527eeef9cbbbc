"""Readers of other engines over our shards: every sample once, equal pixels."""

import io
import json
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.tar import read_samples
from tests.support.paths import ROOT

ARRAYS = ("gt", "ms", "pan")
# The libraries' own: forks with threads, files that they leave open.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def expected(small_build):
    """Arrays and facts of every sample, by key, read strictly."""
    return {
        key: decode_sample(members)
        for row in Manifest.load(small_build).shards
        for key, members in read_samples(small_build / row.name)
    }


@pytest.fixture(scope="module")
def tars(small_build):
    return [str(small_build / row.name) for row in Manifest.load(small_build).shards]


def check(found, expected):
    """`found`: (key, {gt.npy, ms.npy, pan.npy: array}) of all samples, in any order."""
    found = list(found)
    assert sorted(expected) == sorted(key for key, _ in found)
    for key, arrays in found:
        for name, array in zip(ARRAYS, expected[key][:3], strict=True):
            np.testing.assert_array_equal(array, np.asarray(arrays[f"{name}.npy"]), strict=False)


def test_torch_loaders_of_two_ranks_and_two_workers(tars, expected, monkeypatch):
    """webdataset deals the shards to ranks and workers: every sample once over both ranks."""
    import webdataset as wds
    from torch.utils.data import DataLoader

    found = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        samples = wds.WebDataset(tars, nodesplitter=wds.split_by_node, shardshuffle=False).decode()
        here = [(s["__key__"], s) for s in DataLoader(samples, batch_size=None, num_workers=2)]
        assert len(expected) / 2 == len(here)
        found += here

    check(found, expected)


def test_datasets_streams_them(tars, expected, tmp_path, monkeypatch):
    """Hugging Face `datasets`, by its webdataset builder."""
    datasets = pytest.importorskip("datasets", reason="needs datasets (extra simgen)")

    # A builder takes the features of its first file; ours differ in bands, its lists do not.
    rows = datasets.load_dataset(
        "webdataset", data_files={"train": tars}, split="train", streaming=True,
        cache_dir=str(tmp_path),
    )  # fmt: skip
    found = list(rows)

    assert [json.loads(json.dumps(r["json"]))["bits"] for r in found] == [
        expected[r["__key__"]][3].bits for r in found
    ]
    check(((r["__key__"], r) for r in found), expected)


def test_ray_data_reads_them(tars, expected, tmp_path):
    """ray.data.read_webdataset, in a process of its own: a local Ray."""
    pytest.importorskip("ray", reason="needs ray[data] (extra interop)")
    code = (
        "import sys, ray, numpy as np\n"
        "ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)\n"
        "rows = ray.data.read_webdataset(sys.argv[2:], decoder=None).take_all()\n"
        "np.savez(sys.argv[1], **{f\"{r['__key__']}/{n}\": np.frombuffer(r[n], np.uint8)\n"
        "    for r in rows for n in ('gt.npy', 'ms.npy', 'pan.npy')})\n"
    )
    out = tmp_path / "read.npz"
    environ = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, out, *tars], capture_output=True, text=True, env=environ
    )
    assert 0 == done.returncode, done.stderr[-3000:]

    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(out, allow_pickle=False) as file:
        for name in file.files:
            key, _, member = name.partition("/")
            array = np.load(io.BytesIO(file[name].tobytes()), allow_pickle=False)
            found.setdefault(key, {})[member] = array
    check(found.items(), expected)


def test_energon_prepares_and_loads_them(small_build, expected, tmp_path):
    """`energon prepare` indexes a copy; its loader gives every sample of the split."""
    energon = pytest.importorskip("megatron.energon", reason="needs megatron-energon (interop)")
    folder = tmp_path / "s"
    shutil.copytree(small_build, folder)
    command = [Path(sys.executable).parent / "energon", "prepare", "--num-workers", "1", folder]
    if not command[0].exists():
        command[:1] = [sys.executable, "-c", "from megatron.energon.cli.main import main; main()"]
    done = subprocess.run(command, input="1,0,0\nn\n", capture_output=True, text=True, cwd=ROOT)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "gt.npy" in done.stdout
    (folder / ".nv-meta" / "dataset.yaml").write_text(
        "__module__: megatron.energon\n__class__: CrudeWebdataset\n"
    )

    class Encoder(energon.DefaultTaskEncoder):
        cookers = [energon.Cooker(dict)]  # noqa: RUF012

        def batch(self, samples):
            return samples

        def encode_batch(self, batch):
            return batch

    rows = energon.get_train_dataset(
        folder,
        worker_config=energon.WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=1,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        task_encoder=Encoder(),
    )
    batches = islice(energon.get_loader(rows), len(expected))  # one pass: it repeats without end
    found = [sample for batch in batches for sample in batch]

    check(((s["__key__"].rpartition("/")[2], s) for s in found), expected)

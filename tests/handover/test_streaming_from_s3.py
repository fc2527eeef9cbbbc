"""pretrain --stream over an S3 on loopback that is slow and fails."""

import pytest

from fusiontrain.cli import main
from shards.stores import open_store
from shards.transfer import push
from tests.shards.conftest import proxy, s3, s3_port  # noqa: F401 - fixtures
from tests.support.training_runs import columns

pytestmark = pytest.mark.slow
TINY = ["--crop", "16", "--batch-size", "4", "--max-steps", "8", "--log-steps", "1"]


def test_a_slow_and_failing_server_changes_no_loss(small_build, s3, s3_port, proxy, tmp_path):  # noqa: F811
    """Connections are cut in the middle of shards, and every piece comes late."""
    url = "s3://bucket/builds/streamed"
    push(small_build, url)
    runs = {name: tmp_path / name for name in ("near", "far")}
    argv = ["pretrain", "--stream", *TINY, "--tracker", "none", "--shards"]

    assert 0 == main([*argv, str(small_build), "--out", str(runs["near"])])
    cuts = [5_000, 20_000, 90_000, 150_000]
    with proxy(s3_port, cuts, pause=0.005) as port:
        s3(port)
        assert 0 == main([*argv, url, "--out", str(runs["far"])])

    assert not cuts, "no connection was cut"
    near, far = (columns(run, "step", "step_loss", "gradient_norm") for run in runs.values())
    assert 8 == len(near)
    assert near == far


def test_a_shard_that_is_gone_ends_the_run_with_one_line(
    small_build,
    s3,  # noqa: F811
    tmp_path,
    capsys,
):
    url = "s3://bucket/builds/gone"
    push(small_build, url)
    store = open_store(url)
    for number in range(4):
        store.remove(f"shard-{number:06d}.tar")
    argv = ["pretrain", "--stream", *TINY, "--tracker", "none", "--shards", url]

    assert 2 == main([*argv, "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert "no shard-00000" in said
    assert "not-to-be-shown" not in said
    assert "Traceback" not in said

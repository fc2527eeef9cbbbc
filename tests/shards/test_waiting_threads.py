"""Threads sleep while they wait, unless the user says otherwise."""

import os
import subprocess
import sys

import pytest

from shards.waiting_threads import let_threads_sleep

PROGRAM = """
import os, sys
from fusiontrain.cli import main
main(sys.argv[1:])
print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
"""


@pytest.mark.parametrize(("given", "kept"), [(None, "PASSIVE"), ("active", "active")])
def test_a_policy_of_the_user_stays(given, kept, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    let_threads_sleep()

    assert kept == os.environ["OMP_WAIT_POLICY"]


@pytest.mark.parametrize(
    "words", [["fuse", "no.tif", "no.tif", "out.tif"], ["benchmark", "no", "--out", "out"]]
)
def test_fuse_and_benchmark_set_it_before_torch_is_there(words, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stdout.startswith("PASSIVE"), run.stderr

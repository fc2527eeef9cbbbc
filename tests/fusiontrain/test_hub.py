"""fusiontrain.hub against a hub on loopback: pushed, loaded, refused."""

import os
import subprocess
import sys

import pytest

from fusiontrain.models.pretrained_weights import FOLDER
from tests.support.hub_server import hub  # noqa: F401 - a fixture
from tests.support.paths import ROOT

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub (extra train)")
# The hub's address is read when its package is imported: a process of its own.
PUSH = """
import sys
from fusiontrain.hub import Pansharpener
from fusiontrain.models.checkpoints import load_checkpoint
from pathlib import Path
model = Pansharpener(*load_checkpoint(Path(sys.argv[1])))
model.push_to_hub("me/net")
again = Pansharpener.from_pretrained("me/net", force_download=True)
assert again.info == model.info
for name, value in model.state_dict().items():
    assert bool((again.state_dict()[name] == value).all()), name
try:
    Pansharpener.from_pretrained("me/other")
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.slow
def test_weights_are_pushed_and_loaded(hub, tmp_path):  # noqa: F811
    """The same network comes back; what the hub holds is the package that `publish` writes."""
    url, held = hub
    weights = FOLDER / "small.safetensors"
    environ = {
        "HF_ENDPOINT": url,
        "HF_TOKEN": "hf_of_the_test",
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }

    done = subprocess.run(
        [sys.executable, "-c", PUSH, weights],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
    )

    assert 0 == done.returncode, done.stderr[-3000:]
    assert "me/net" == held.repository
    assert {"Bearer hf_of_the_test"} == held.tokens
    assert {"README.md", "config.json", "mlm.json", "model.safetensors"} == set(held.files)
    assert weights.read_bytes() == held.files["model.safetensors"]
    assert "NotFoundError" in done.stdout

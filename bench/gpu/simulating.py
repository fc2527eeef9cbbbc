"""simgen on a GPU: the same pixels, how fast, and whether memory stays."""

import io
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from bench.gpu.plan import Setting, Skip, claim, need

MOST_DN, MOST_SHARE = 1, 0.02  # of difference after finish(), and of pixels that differ
MOST_GROWTH = 64  # MiB, over all pipelines but the first few
FORMS: dict[str, dict[str, Any]] = {
    "444": {"subsampling": 0},
    "422": {"subsampling": 1},
    "420": {"subsampling": 2},
    "progressive": {"subsampling": 2, "progressive": True},
    "optimised": {"subsampling": 2, "optimize": True},
    "gray": {"mode": "L"},
}


def need_dali(setting: Setting) -> None:
    """Raises: Skip without DALI, or without the GPU that it should use."""
    need("nvidia.dali", "PIL", "threadpoolctl")
    from nvidia.dali import backend

    if setting.simulate_on == "gpu" and not backend.GetCUDADeviceCount():
        raise Skip("DALI finds no CUDA device")


def photograph(seed: int, side: int = 500, *, mode: str = "RGB", **form: Any) -> bytes:
    """JPEG of ground at several scales, with colour."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    image = np.zeros((side, side, 3))
    for cell in (125, 25, 5, 1):
        rough = rng.uniform(0, 64, (side // cell, side // cell, 3))
        image += rough.repeat(cell, 0).repeat(cell, 1)
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).convert(mode).save(buffer, "JPEG", quality=90, **form)
    return buffer.getvalue()


def jobs_of(images: Sequence[bytes], recipe: Any, bands: int) -> list[Any]:
    from PIL import Image

    from simgen.sampling import sample_parameters
    from simgen.simulate.dispatch import Job

    jobs = []
    for i, data in enumerate(images):
        width, height = Image.open(io.BytesIO(data)).size
        draw = sample_parameters(
            recipe, bands=bands, seed=0, key=str(i), height=height, width=width
        )
        jobs.append(Job(image=data, draw=draw))
    return jobs


def pixels(setting: Setting, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    """CPU against GPU for each kind of JPEG; alone, in company, reversed, again."""
    need_dali(setting)
    from simgen.recipes import find_recipe
    from simgen.simulate.dispatch import run

    recipe = find_recipe("sensor").with_fields(tile=128)
    images = [photograph(i, **form) for i, form in enumerate(FORMS.values())]
    jobs, device = jobs_of(images, recipe, 4), setting.simulate_on
    cpu = run(jobs, recipe, device="cpu")
    together = run(jobs, recipe, device=device)
    again, backwards = run(jobs, recipe, device=device), run(jobs[::-1], recipe, device=device)
    alone = [run([job], recipe, device=device)[0] for job in jobs]
    facts: dict[str, Any] = {"largest_dn": {}, "share": {}}
    for name, job, one, made in zip(FORMS, jobs, cpu, together, strict=True):
        step = max(1.0, job.draw.compression * 2**job.draw.bits)  # of the downlink's compression
        differences = [
            np.abs(a.astype(int) - b.astype(int)) for a, b in zip(one, made, strict=True)
        ]
        facts["largest_dn"][name] = max(float(d.max()) / step for d in differences)
        facts["share"][name] = max(float((d > 0).mean()) for d in differences)
    facts["same"] = {
        what: all(
            np.array_equal(a, b)
            for sample, other in zip(together, others, strict=True)
            for a, b in zip(sample, other, strict=True)
        )
        for what, others in {"again": again, "reversed": backwards[::-1], "alone": alone}.items()
    }
    claim(all(facts["same"].values()), "a sample depends on its company", facts)
    claim(max(facts["largest_dn"].values()) <= MOST_DN, "pixels differ from the CPU's", facts)
    claim(max(facts["share"].values()) < MOST_SHARE, "too many pixels differ", facts)
    return facts


def speed(setting: Setting, folder: Path) -> dict[str, Any]:
    """Samples a second by number of workers, and how busy the GPU is."""
    need_dali(setting)
    photos = folder / "photos"
    photos.mkdir()
    for i in range(setting.photographs):
        (photos / f"{i}.jpg").write_bytes(photograph(i, 500))
    facts: dict[str, Any] = {"samples_per_second": {}, "gpu_busy_percent": {}, "gpu_mib": {}}
    for workers in setting.workers:
        out = folder / f"shards-{workers}"
        command = [
            *(sys.executable, "-m", "simgen", "build", "--dataset", "folder"),
            *("--source", str(photos), "--out", str(out), "--bands", "8", "--quiet"),
            *("--draws", str(setting.draws), "--shard-size", "32", "--workers", str(workers)),
            *("--device", setting.simulate_on),
        ]
        begun = time.monotonic()
        with utilisation() as busy:
            subprocess.run(command, check=True)
        seconds = time.monotonic() - begun
        made = setting.photographs * setting.draws
        facts["samples_per_second"][workers] = round(made / seconds, 1)
        if busy:
            facts["gpu_busy_percent"][workers] = round(float(np.mean([b for b, _ in busy])), 1)
            facts["gpu_mib"][workers] = max(m for _, m in busy)
    return facts


@contextmanager
def utilisation() -> Iterator[list[tuple[float, float]]]:
    """(percent busy, MiB used) of GPU 0, about once a second; empty without nvidia-smi."""
    seen: list[tuple[float, float]] = []
    done = Event()

    def look() -> None:
        query = "--query-gpu=utilization.gpu,memory.used"
        command = ["nvidia-smi", query, "--format=csv,noheader,nounits", "--id=0"]
        while not done.wait(1):
            try:
                text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                busy, used = map(float, text.split(","))
            except (OSError, subprocess.CalledProcessError, ValueError):
                return
            seen.append((busy, used))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def memory(setting: Setting, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    """Pipelines built one after another: neither device nor process may keep them."""
    need_dali(setting)
    from simgen.recipes import find_recipe
    from simgen.simulate.dali_pipelines import forget_pipelines
    from simgen.simulate.dispatch import run

    recipe = replace(find_recipe("sensor"), tile=64)
    jobs = jobs_of([photograph(i, 250) for i in range(4)], recipe, 4)
    settled = max(1, setting.pipelines // 5)
    before = (0.0, 0.0)
    for count in range(setting.pipelines):
        if count == settled:
            before = _used(setting)
        run(jobs, recipe, device=setting.simulate_on)
        forget_pipelines()
    after = _used(setting)
    facts = {
        "pipelines": setting.pipelines - settled,
        "host_mib": round(after[0] - before[0], 1),
        "gpu_mib": after[1] - before[1],
    }
    claim(max(facts["host_mib"], facts["gpu_mib"]) < MOST_GROWTH, "memory grows", facts)
    return facts


def _used(setting: Setting) -> tuple[float, float]:
    """MiB of this process and of GPU 0."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    host = pages * 4096 / 2**20
    if setting.simulate_on == "cpu":
        return host, 0.0
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    return host, float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

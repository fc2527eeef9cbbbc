"""Training on a GPU: versions, all networks, a killed run, the compiler, NCCL, the marked tests."""

import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.gpu.plan import Setting, Skip, claim, need, need_device

PACKAGES = (
    *("torch", "nvidia-dali-cuda130", "accelerate", "mamba-ssm", "causal-conv1d", "triton"),
    *("numpy", "rasterio", "safetensors"),
)
MOST_APART = 0.02  # of a loss, after a resume: gradients on GPUs are summed in any order
_ROOT = Path(__file__).parents[2]


def versions(setting: Setting, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    facts: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count()}
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = None
    need_device(setting)
    import torch

    if setting.device == "cuda":
        device = torch.cuda.get_device_properties(0)
        facts |= {"gpu": device.name, "gib": round(device.total_memory / 2**30, 1)}
        facts |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
        facts["capability"] = f"{device.major}.{device.minor}"
        query = ["nvidia-smi", "--query-gpu=driver_version,compute_mode", "--format=csv,noheader"]
        try:
            facts["driver"] = subprocess.run(
                query, capture_output=True, text=True, check=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError) as error:
            facts["driver"] = str(error)
    return facts


def models(setting: Setting, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    """Two steps of every network in every precision: losses are finite."""
    need_device(setting)
    import torch

    from fusiontrain.imaging.pan_batch import PanBatch
    from fusiontrain.models.registry import MODELS, build_model
    from fusiontrain.training.losses import LOSSES

    device = torch.device(setting.device)
    side, bands = 64, 4
    gains = torch.full((2, bands), 0.3, device=device)
    truth = 200 + 800 * torch.rand(2, bands, side, side, device=device)
    batch = PanBatch(
        ms=torch.nn.functional.avg_pool2d(truth, 4),
        pan=truth.mean(1, keepdim=True),
        ratio=4,
        mtf=gains,
        softness=gains,
    )
    types = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    facts: dict[str, Any] = {"failed": {}}
    for name in setting.models or tuple(MODELS):
        entry = MODELS[name]
        sizes = entry.sizes if entry.any_band else {**entry.sizes, "bands": bands}
        for precision in setting.precisions:
            torch.manual_seed(0)
            net = build_model(name, **sizes).to(device)
            optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
            scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16", init_scale=256)
            try:
                for _ in range(2):
                    dtype = types[precision]
                    with torch.autocast(device.type, dtype, enabled=dtype is not None):
                        fused = net(batch)
                    loss = LOSSES["relative_l1"](fused.float(), truth, batch)
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)
                    scaler.update()
                    optimizer.zero_grad(set_to_none=True)
                if not math.isfinite(float(loss.detach())):
                    facts["failed"][f"{name} {precision}"] = "not finite"
            except Exception as error:  # noqa: BLE001 - the next network is still to be tried
                facts["failed"][f"{name} {precision}"] = f"{type(error).__name__}: {error}"[:200]
    claim(not facts["failed"], "networks that do not train", facts)
    return facts


def resumed(setting: Setting, folder: Path) -> dict[str, Any]:
    """So many steps at once; and half, killed, and the rest: the same curve within rounding."""
    shards = _shards(setting, folder)
    half = setting.steps // 2
    _train(setting, shards, folder / "calm", setting.steps)
    torn = folder / "torn"
    process = subprocess.Popen(_command(setting, shards, torn, setting.steps, half), cwd=_ROOT)
    try:
        while process.poll() is None and not list((torn / "states").glob(f"step-*{half}")):
            time.sleep(0.02)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
    _train(setting, shards, torn, setting.steps)
    calm, again = (_losses(folder / name) for name in ("calm", "torn"))
    pairs = [(calm[k], again[k]) for k in sorted(calm)]
    apart = max(abs(one - other) / one for one, other in pairs)
    facts = {"steps": len(pairs), "apart": apart, "bit for bit": apart == 0}
    claim(len(calm) == setting.steps and calm.keys() == again.keys(), "steps are lost", facts)
    claim(apart <= MOST_APART, "the resumed run has another curve", facts)
    return facts


def compiled(setting: Setting, folder: Path) -> dict[str, Any]:
    shards = _shards(setting, folder)
    begun = time.monotonic()
    _train(setting, shards, folder / "run", setting.steps // 2, "--compile")
    losses = _losses(folder / "run")
    facts = {"seconds_with_compiling": round(time.monotonic() - begun, 1), "steps": len(losses)}
    claim(all(map(math.isfinite, losses.values())), "losses are not finite", facts)
    return facts


def nccl(setting: Setting, folder: Path) -> dict[str, Any]:
    """One process of a group of one: the library loads and sums."""
    need_device(setting)
    import torch
    from torch import distributed

    backend = "nccl" if setting.device == "cuda" else "gloo"
    distributed.init_process_group(
        backend, init_method=f"file://{folder / 'meeting'}", rank=0, world_size=1
    )
    try:
        values = torch.ones(4, device=setting.device)
        distributed.all_reduce(values)
        facts = {"backend": backend, "sum": float(values.sum())}
    finally:
        distributed.destroy_process_group()
    claim(facts["sum"] == 4, "the sum is wrong", facts)
    return facts


def marked_tests(setting: Setting, folder: Path) -> dict[str, Any]:
    """The tests that need a device, and are skipped without one."""
    need("pytest")
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", setting.tests, f"--junitxml={report}"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    facts = {"last": done.stdout.strip().splitlines()[-1:]}
    if done.returncode == 5:  # pytest's code for none selected
        raise Skip("no test selected")
    claim(done.returncode == 0, f"pytest ended with {done.returncode}", facts)
    claim(" passed" in json.dumps(facts), "none passed", facts)
    return facts


def _shards(setting: Setting, folder: Path) -> Path:
    """A small build of made photographs, by the CPU."""
    need_device(setting)
    need("accelerate", "nvidia.dali")
    from bench.gpu.simulating import photograph

    photos, out = folder / "photos", folder / "shards"
    photos.mkdir()
    for i in range(4):
        (photos / f"{i}.jpg").write_bytes(photograph(i, 250))
    subprocess.run(
        [
            *(sys.executable, "-m", "simgen", "build", "--dataset", "folder", "--quiet"),
            *("--source", str(photos), "--out", str(out), "--tile", "64", "--bands", "4"),
            *("--draws", "4"),
        ],
        check=True,
        cwd=_ROOT,
    )
    return out


def _command(
    setting: Setting, shards: Path, out: Path, steps: int, save: int, *more: str
) -> Sequence[str]:
    return [
        *(sys.executable, "-m", "fusiontrain", "pretrain", "--shards", str(shards)),
        *("--out", str(out), "--max-steps", str(steps), "--save-steps", str(save)),
        *("--batch-size", "2", "--crop", "32", "--log-steps", "1", "--tracker", "none"),
        *("--workers", "2" if setting.device == "cuda" else "0", *more),
    ]


def _train(setting: Setting, shards: Path, out: Path, steps: int, *more: str) -> None:
    """Raises: AssertionError with the end of its output where it fails."""
    command = _command(setting, shards, out, steps, steps // 2, *more)
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    claim(done.returncode == 0, "training failed", {"output": done.stderr.splitlines()[-6:]})


def _losses(out: Path) -> dict[int, float]:
    """By step, of log.csv."""
    import csv

    with (out / "log.csv").open(newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}

"""A whole scene through the default network: CPU against GPU, exact and in half precision."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.gpu.plan import Setting, claim, need, need_device

MOST_DN = 0.1  # of difference to the CPU with TF32 off
_ON_CPU = 1024  # PAN pixels a side that the CPU fuses too


def whole_scene(setting: Setting, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    need_device(setting)
    need("rasterio")
    import torch

    from bench.speed.made_scenes import made_scene
    from fusiontrain.fusion import device_windows
    from fusiontrain.fusion.make_fuser import make_network_fuser
    from fusiontrain.fusion.memory_plan import make_plan
    from fusiontrain.fusion.network_fuser import NetworkFuser
    from fusiontrain.fusion.options import FusionOptions
    from fusiontrain.fusion.sensor_model import SensorModel
    from fusiontrain.fusion.window_loop import assemble
    from fusiontrain.imaging.full_precision import tf32
    from fusiontrain.scenes.scene import Scene

    pan, ms = (torch.from_numpy(x.astype("f4")) for x in made_scene(setting.side, setting.side, 4))
    gains = torch.full((4,), 0.3)
    model = SensorModel(mtf=gains, softness=gains)
    on_gpu = setting.device == "cuda"
    fuser = make_network_fuser(FusionOptions(device=setting.device))

    def fuse(one: NetworkFuser, side: int, memory: float) -> tuple[Any, float, float]:
        scene = Scene(name="made", ms=ms[:, : side // 4, : side // 4], pan=pan[:, :side, :side])
        plan = make_plan(scene, one, memory=memory)
        begun = time.monotonic()
        fused = assemble(scene, one.fuse(scene, model, plan))
        if one.device.type == "cuda":
            torch.cuda.synchronize()
        window = min(side, plan.core + 2 * plan.halo)
        return fused, side**2 / 1e6 / (time.monotonic() - begun), window**2 * 4

    small = min(_ON_CPU, setting.side)
    cpu = replace(fuser, net=make_network_fuser(FusionOptions(device="cpu")).net)
    exact = fuse(replace(cpu, device=torch.device("cpu")), small, 2.0)[0]
    ours = fuse(fuser, small, 2.0)[0]  # also the first, slow one
    half = fuse(replace(fuser, bf16=True), small, 2.0)[0]
    facts: dict[str, Any] = {
        "dn": float((ours - exact).abs().max()),
        "dn_bf16": float((half - exact).abs().max()),
        "mpix_per_second": {},
    }
    if on_gpu:
        with patch.object(device_windows, "tf32", lambda **_: tf32(allowed=True)):
            facts["dn_tf32"] = float((fuse(fuser, small, 2.0)[0] - exact).abs().max())
        torch.cuda.reset_peak_memory_stats()
    memory = 16.0 if on_gpu else 2.0
    for name, one in {"float32": fuser, "bf16": replace(fuser, bf16=True)}.items():
        _, rate, values = fuse(one, setting.side, memory)
        facts["mpix_per_second"][name] = round(rate, 2)
        if on_gpu and name == "float32":
            peak = torch.cuda.max_memory_allocated()
            facts["bytes_a_pixel_and_band"] = round(peak / values, 1)
            facts["planned"] = one.cost.bytes_per_pixel
    claim(facts["dn"] <= MOST_DN, "the GPU's pixels are not the CPU's", facts)
    if on_gpu:
        claim(facts["bytes_a_pixel_and_band"] <= facts["planned"], "the plan is too small", facts)
    return facts

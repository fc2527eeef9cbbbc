"""Whether half precision is exact enough for a scene: measured on one of its windows."""

import math

import torch
from torch import nn

from fusiontrain.errors import SceneError
from fusiontrain.fusion.device_windows import DeviceWindows
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import core_slices, scene_tiles, window_batch
from fusiontrain.imaging.pan_batch import Statistics
from fusiontrain.scenes.scene import WindowedScene

MOST = 0.1  # DN RMS of a scene of BITS
BITS = 11
_CORE = 256  # PAN pixels a side of the window


@torch.inference_mode()
def check_half_precision(
    scene: WindowedScene,
    net: nn.Module,
    sensor_model: SensorModel,
    statistics: Statistics,
    *,
    halo: int,
    device: torch.device,
) -> None:
    """Raises: SceneError where bf16 and float32 differ by over MOST on the middle of the scene.

    The DN are those of a scene of BITS: the window's brightest pixel says how many it has.
    """
    tiles = scene_tiles(scene, halo=halo, core=_CORE)
    middle = [side / 2 for side in scene.shape]
    tile = min(
        tiles,
        key=lambda tile: math.dist(middle, (tile.core.top, tile.core.left)),
    )
    window = scene.read(tile.padded)
    rows, columns = core_slices(tile, scene.ratio)
    valid = window.valid[rows, columns]
    if not bool(valid.any()):
        return
    batch = window_batch(scene, window, sensor_model, statistics)
    fused = [
        DeviceWindows(net=net, device=device, halo=-(-halo // scene.ratio), bf16=bf16).start(
            batch, tile
        )()
        for bf16 in (False, True)
    ]
    off = (fused[1] - fused[0])[:, valid]
    brightest = max(float(image.max()) for image in (window.ms, window.pan, torch.ones(1)))
    scale = 2.0 ** (BITS - math.ceil(math.log2(brightest + 1)))
    rms = float(off.square().mean().sqrt()) * scale
    if not rms <= MOST:
        raise SceneError(
            f"`precision=bf16` changes this scene by {rms:.2f} DN RMS of {BITS} bits; expected at "
            f"most {MOST:g}: leave it out"
        )

"""What `fusiontrain fuse` costs and whether its windows show.

bench/fuse.py --seam 3000x5000        the network, whole and by windows: the largest difference, DN
bench/fuse.py --half                  bf16 beside float32: RMS in DN of 11 bits

Scenes are made here, below --room, and taken away again. `--weights` stands in for fresh ones.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rasterio.transform import Affine

from fusiontrain import pansharpen
from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.models.registry import build_model

GRID = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)
BLOCK = 512
NETWORK = "anyband"
CLI = Path(sys.executable).parent / "fusiontrain"


def fresh_weights(path: Path, **sizes: int) -> Path:
    """A network that changes what it is given: its last layer is not zero."""
    torch.manual_seed(1)
    net = build_model(NETWORK, **sizes)
    torch.nn.init.normal_(net.head.weight, std=0.02)
    save_checkpoint(path, net, CheckpointInfo(model=NETWORK, sizes=sizes, training={}))
    return path


def scene(height: int, width: int, bands: int, ratio: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """PAN (1, H, W) and MS (C, h, w), uint16 of 11 bits: ground at all scales."""
    rng = np.random.default_rng(0)
    pan = np.zeros((height, width), np.float32)
    for cell in (256, 64, 16, 4, 1):
        rough = rng.uniform(0, 1, (-(-height // cell), -(-width // cell))).astype(np.float32)
        pan += rough.repeat(cell, 0).repeat(cell, 1)[:height, :width] * (60 * cell**0.4)
    low = pan.reshape(height // ratio, ratio, width // ratio, ratio).mean((1, 3))
    gains = np.linspace(0.5, 1.2, bands, dtype=np.float32)[:, None, None]
    ms = low * gains + rng.uniform(0, 20, (bands, *low.shape)).astype(np.float32)
    return pan[None].clip(0, 2047).astype("u2"), ms.clip(0, 2047).astype("u2")


def _sizes(args: argparse.Namespace) -> dict[str, int]:
    return {"width": 8, "blocks": 2} if args.small else {}


def seam(args: argparse.Namespace, room: Path) -> None:
    height, width = map(int, args.seam.split("x"))
    pan, ms = scene(height, width, args.bands)
    weights = args.weights or fresh_weights(room / "w.safetensors", **_sizes(args))
    told = {"weights": weights, "sensor": "IKONOS", "softness": 0.3, "threads": args.threads}

    def fused(window: int) -> np.ndarray:
        started = time.monotonic()
        out = pansharpen(pan, ms, dtype="float32", window=window, **told)
        print(f"  windows of {window}: {time.monotonic() - started:.0f} s", flush=True)
        return out

    whole = fused(args.whole or max(height, width))
    for window in (512, 1000):
        parts = fused(window)
        off = np.abs(parts - whole)
        rounded = np.abs(parts.round() - whole.round()).max()
        place = np.unravel_index(off.argmax(), off.shape)
        print(
            f"seam {height}x{width}x{args.bands}, windows of {window}: at most {off.max():.4f} DN "
            f"(after rounding {rounded:.0f}), RMS {np.sqrt((off**2).mean()):.2e}, at {place}"
        )


def half(args: argparse.Namespace, room: Path) -> None:
    weights = args.weights or fresh_weights(room / "w.safetensors")
    from fusiontrain.fusion.fuse_scene import fuse_to_array
    from fusiontrain.fusion.make_fuser import FusionOptions, make_fuser
    from fusiontrain.fusion.sensor_model import estimate_sensor_model
    from fusiontrain.scenes.scene import Scene
    from shards.sensors import find_sensor

    torch.set_num_threads(args.threads)
    pan, ms = (torch.from_numpy(x.astype(np.float32)) for x in scene(512, 512, args.bands))
    ground = Scene(name="made", ms=ms, pan=pan)
    known = estimate_sensor_model(ground, sensor=find_sensor("IKONOS"), softness=0.3)
    outs = []
    for bf16 in (False, True):
        fuser = make_fuser(FusionOptions(weights=weights, bf16=bf16))
        started = time.monotonic()
        outs.append(
            fuse_to_array(
                ground, fuser, known, fuser.plan(ground), dtype=np.dtype("f4"), nodata=None
            )
        )
        print(f"bf16={bf16}: {time.monotonic() - started:.1f} s")
    off = np.abs(outs[1] - outs[0])
    print(f"bf16 against float32: RMS {np.sqrt((off**2).mean()):.3f} DN, most {off.max():.2f} DN")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seam", metavar="HxW")
    parser.add_argument(
        "--whole", type=int, help="window that stands for the whole, if memory asks"
    )
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--small", action="store_true", help="a network of width 8, 2 blocks")
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--room", type=Path, help="a folder with space")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.room) as room:
        for asked, what in ((args.seam, seam), (args.half, half)):
            if asked:
                what(args, Path(room))


if __name__ == "__main__":
    main()

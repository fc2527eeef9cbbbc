"""Fusing by windows against fusing a scene whole, and bf16 against float32.

python -m bench.speed.fuse --seam 3000x5000    whole and by windows: the largest difference in DN
python -m bench.speed.fuse --half              bf16 and float32: RMS difference in DN of 11 bits

Scenes are made here, below --room, and taken away again. `--weights` stands in for fresh ones.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench.speed.aims import Aim, verdict
from bench.speed.made_scenes import made_scene
from fusiontrain import pansharpen
from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.models.registry import build_model

NETWORK = "anyband"


def fresh_weights(path: Path, **sizes: int) -> Path:
    """A network that changes what it is given: its last layer is not zero."""
    torch.manual_seed(1)
    net = build_model(NETWORK, **sizes)
    torch.nn.init.normal_(net.head.weight, std=0.02)
    save_checkpoint(path, net, CheckpointInfo(model=NETWORK, sizes=sizes, training={}))
    return path


def _sizes(args: argparse.Namespace) -> dict[str, int]:
    return {"width": 8, "blocks": 2} if args.small else {}


def seam(args: argparse.Namespace, room: Path) -> list[Aim]:
    height, width = map(int, args.seam.split("x"))
    pan, ms = made_scene(height, width, args.bands)
    weights = args.weights or fresh_weights(room / "w.safetensors", **_sizes(args))
    options = {"weights": weights, "sensor": "IKONOS", "softness": 0.3, "threads": args.threads}

    def fused(window: int) -> np.ndarray:
        started = time.monotonic()
        out = pansharpen(pan, ms, dtype="float32", window=window, **options)
        print(f"  windows of {window}: {time.monotonic() - started:.0f} s", flush=True)
        return out

    whole, aims = fused(args.whole or max(height, width)), []
    for window in args.windows:
        parts = fused(window)
        off = np.abs(parts - whole)
        rounded = np.abs(parts.round() - whole.round()).max()
        place = np.unravel_index(off.argmax(), off.shape)
        print(
            f"seam {height}x{width}x{args.bands}, windows of {window}: at most {off.max():.4f} DN "
            f"(after rounding {rounded:.0f}), RMS {np.sqrt((off**2).mean()):.2e}, at {place}"
        )
        aims.append(Aim(f"seams of windows of {window}, DN", off.max(), 1, at_most=True))
    return aims


def half(args: argparse.Namespace, room: Path) -> list[Aim]:
    weights = args.weights or fresh_weights(room / "w.safetensors")
    from fusiontrain.fusion.fuse_array import fuse_to_array
    from fusiontrain.fusion.make_fuser import make_fuser
    from fusiontrain.fusion.memory_plan import make_plan
    from fusiontrain.fusion.options import MEMORY, FusionOptions
    from fusiontrain.fusion.sensor_model import estimate_sensor_model
    from fusiontrain.scenes.scene import Scene
    from shards.sensors import find_sensor

    torch.set_num_threads(args.threads)
    pan, ms = (torch.from_numpy(x.astype(np.float32)) for x in made_scene(512, 512, args.bands))
    ground = Scene(name="made", ms=ms, pan=pan)
    known = estimate_sensor_model(ground, sensor=find_sensor("IKONOS"), softness=0.3)
    outs = []
    for bf16 in (False, True):
        fuser = make_fuser(FusionOptions(weights=weights, precision="bf16" if bf16 else "float32"))
        started = time.monotonic()
        outs.append(
            fuse_to_array(
                ground,
                fuser,
                known,
                make_plan(ground, fuser, memory=MEMORY),
                dtype=np.dtype("f4"),
                nodata=None,
            )
        )
        print(f"bf16={bf16}: {time.monotonic() - started:.1f} s")
    off = np.abs(outs[1] - outs[0])
    rms = np.sqrt((off**2).mean())
    print(f"bf16 against float32: RMS {rms:.3f} DN, most {off.max():.2f} DN")
    return [Aim("bf16, RMS in DN of 11 bits", rms, 0.1, at_most=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seam", metavar="HxW")
    parser.add_argument(
        "--whole", type=int, help="window that stands for the whole, if memory asks"
    )
    parser.add_argument("--windows", type=int, nargs="+", default=[512, 1000], help="PAN pixels")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--small", action="store_true", help="a network of width 8, 2 blocks")
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--room", type=Path, help="a folder with space")
    args = parser.parse_args()
    aims = []
    with tempfile.TemporaryDirectory(dir=args.room) as room:
        for asked, what in ((args.seam, seam), (args.half, half)):
            if asked:
                aims += what(args, Path(room))
    return verdict(aims)


if __name__ == "__main__":
    raise SystemExit(main())

"""The default network's layers by torch and by OpenVINO, and a whole fuse by each; in turns.

python -m bench.speed.runtime [--side 1024] [--rounds 3] [--whole 4096]

One thread, 4 bands, processor time; float32 and bf16. Layers: what follows the stem, on features
of `--side` PAN pixels. `--whole`: `fuse` of a made scene of so many pixels a side, imports and the
building of the graph included. Needs openvino (pip install openvino), which panprior does not use.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rasterio.transform import Affine

from bench.speed.made_scenes import GRID, made_scene, write_geotiff
from bench.speed.programs import measure
from fusiontrain.models.anyband import row_wise
from fusiontrain.models.anyband.input_rows import Cells
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.layers.polyphase import SHUFFLE
from fusiontrain.models.pretrained_weights import find_weights

BANDS = 4
PRECISIONS = ("float32", "bf16")


def by_torch(net: torch.nn.Module, conditions: torch.Tensor, data: torch.Tensor, *, bf16: bool):
    """A run of row_wise.py's layers, strip by strip; the corrections, (N, h, w, P)."""
    N, h, w, width = data.shape
    dtype = torch.bfloat16 if bf16 else torch.float32
    x = row_wise.Features(torch.empty(N, h + 2, w + 2, width))
    y = row_wise.Features(torch.empty_like(x.data, dtype=dtype))
    height = row_wise._height(w * width)
    strips = [strip.rows for strip in Cells(slice(0, h), slice(0, w)).strips(height)]
    weight, bias = net.head.weight.to(dtype), net.head.bias.to(dtype)
    out = torch.empty(N, h, w, SHUFFLE**2)

    @torch.inference_mode()
    def once() -> torch.Tensor:
        x.data[:, 1:-1, 1:-1] = data
        x.close(slice(0, h))
        for block in net.blocks:
            row_wise._run_block(block, x, y, conditions, N, strips)
        for rows in strips:
            for n in range(N):
                features = torch.nn.functional.gelu(x.around(n, rows)).to(dtype)
                correction = torch.nn.functional.conv2d(features, weight, bias)
                out[n, rows] = correction[0].permute(1, 2, 0).float()
        return out

    return once


@torch.inference_mode()
def compare_layers(side: int, rounds: int) -> None:
    from bench.speed.openvino_layers import layers, run

    net, _ = load_checkpoint(find_weights(None, None))
    net.eval()
    cells = side // SHUFFLE
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(BANDS, net.head.in_channels, cells, cells, generator=rng)
    with torch.inference_mode():
        conditions = net.condition(torch.full((1, BANDS, 4), 0.5)).flatten(0, 1)
        smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
        data = smooth.permute(0, 2, 3, 1).contiguous()
    features = [data[n : n + 1].numpy() for n in range(BANDS)]
    runs: dict[str, Callable[[], torch.Tensor]] = {}
    for precision in PRECISIONS:
        bf16 = precision == "bf16"
        runs[f"torch, {precision}"] = by_torch(net, conditions, data, bf16=bf16)
        request = layers(net, conditions, (cells, cells), bf16=bf16)
        runs[f"OpenVINO, {precision}"] = lambda request=request: torch.stack(run(request, features))
    spent: dict[str, list[float]] = {name: [] for name in runs}
    found = {}
    for turn in range(rounds + 1):
        for name, once in runs.items():
            begun = time.process_time()
            found[name] = once()
            if turn:  # the first does not count
                spent[name].append(time.process_time() - begun)
    truth = found["torch, float32"].clone()
    print("| layers | s a Mpix | RMS off torch's float32, units of std |\n|---|---:|---:|")
    for name, times in spent.items():
        off = float((found[name] - truth).square().mean().sqrt())
        print(f"| {name} | {min(times) / (side**2 / 1e6):.3f} | {off:.1e} |", flush=True)


def compare_whole(side: int, rounds: int, room: Path) -> None:
    pan, ms, out = room / "pan.tif", room / "ms.tif", room / "out.tif"
    for path, image, grid in zip(
        (pan, ms), made_scene(side, side, BANDS), (GRID, GRID @ Affine.scale(4)), strict=True
    ):
        write_geotiff(path, image, grid)
    files = [str(path) for path in (pan, ms, out)]
    print("| fuse | s of a core | MiB |\n|---|---:|---:|")
    for _ in range(rounds):
        for precision in PRECISIONS:
            flags = ["--threads", "1", "--quiet", "--precision", precision]
            for name, module in (
                ("torch", ["fusiontrain", "fuse"]),
                ("OpenVINO", ["bench.speed.openvino_layers"]),
            ):
                cost = measure([sys.executable, "-m", *module, *files, *flags], room, 1)
                print(f"| {name}, {precision} | {cost.cpu:.1f} | {cost.peak:.0f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--side", type=int, default=1024, help="PAN pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", type=int, metavar="SIDE", help="PAN pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.whole is None:
        compare_layers(args.side, args.rounds)
        return 0
    with tempfile.TemporaryDirectory() as room:
        compare_whole(args.whole, args.rounds, Path(room))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

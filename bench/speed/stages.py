"""Where the time of a build goes: milliseconds of one core a sample, by stage; a Markdown table.

python -m bench.speed.stages [--samples 128] [--bands 8] [--photos DIR]
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.speed.builds import LIBRARIES, build_of, make_photos, on_one_core, tasks_of
from bench.speed.record import command_line, record
from simgen.building import shard
from simgen.effects import GeometryRanges
from simgen.simulate import dispatch, numpy_engine

# Stage -> the functions whose own time, less that of the others here, is counted as its.
STAGES: dict[str, list[tuple[Any, str]]] = {
    "DALI: decode, crop, resize": [(dispatch, "read_crops")],
    "check of the image": [(shard, "examine")],
    "random parameters, kernels": [(shard, "sample_parameters")],
    "light, jitter, high-pass, indices": [(numpy_engine, "_light"), (numpy_engine, "retouched")],
    "band mixing, tints of materials": [(numpy_engine, "_bands")],
    "placing, texture, objects, warp": [
        (numpy_engine, name) for name in ("observe_scene", "draw_texture", "move_objects", "warp")
    ],
    "optics: blur and decimation": [(numpy_engine, "observe_blocks")],
    "noise, stripes": [
        (numpy_engine, "draw_noise"),
        (numpy_engine, "add_noise"),
        (numpy_engine, "_striped"),
    ],
    "digital numbers": [(numpy_engine, "quantise")],
    "compression artefacts": [(numpy_engine, "compressed")],
    "npy, tar, sha256": [(shard, "_members"), (shard, "write_shard")],
    "rest": [(shard, "_drawn_together"), (shard, "_made")],
}

# Of which a GPU leaves to the host; samples with moving objects or a local shift, all but decoding.
ON_HOST = (
    "check of the image",
    "random parameters, kernels",
    "noise, stripes",
    "digital numbers",
    "compression artefacts",
    "npy, tar, sha256",
    "rest",
)


def host_beside_gpu(rows: dict[str, float], geometry: GeometryRanges) -> float:
    """The host's ms a sample, by the CPU's figures: an estimate, without copies."""
    alone = (1 - geometry.moving_chance) * (1 - geometry.local_shift_chance)
    rest = sum(took for stage, took in rows.items() if not stage.startswith("DALI"))
    always = sum(rows[stage] for stage in ON_HOST)
    return always + (1 - alone) * (rest - always)


def watch(spent: dict[str, float]) -> None:
    """Put a clock about every function of STAGES; what one calls counts for the callee alone."""
    inner: list[float] = []

    def clocked(stage: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **options: Any) -> Any:
            start = time.process_time()
            inner.append(0.0)
            try:
                made = run(*given, **options)
                return list(made) if stage.startswith("DALI") else made
            finally:
                took = time.process_time() - start
                spent[stage] += took - inner.pop()
                if inner:
                    inner[-1] += took

        return timed

    for stage, functions in STAGES.items():
        for module, name in functions:
            setattr(module, name, clocked(stage, getattr(module, name)))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--bands", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="no record")
    parser.add_argument("--photos", type=Path, help="a folder of 500x375 JPEGs; default: made")
    args = parser.parse_args(argv)
    on_one_core()
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="panprior-bench-") as root:
        photos = args.photos or Path(root)
        if args.photos is None:
            make_photos(photos, args.samples)
        build = build_of(
            photos, Path(root) / "s", bands=(args.bands,), limit=args.samples,
            shard_size=args.samples,
        )  # fmt: skip
        build.out.mkdir()
        (task,) = tasks_of(build)
        shard.build_shard(task)  # warm
        watch(spent)
        shard.build_shard(task)
    total = sum(spent.values())
    rows = {stage: 1e3 * spent[stage] / args.samples for stage in STAGES}
    print(f"{args.bands} bands: {args.samples / total:.1f} samples a second of one core\n")
    print("| stage | ms a sample | share |\n|---|---:|---:|")
    for stage, took in rows.items():
        print(f"| {stage} | {took:.1f} | {took * args.samples / total / 10:.0f} % |")
    host = host_beside_gpu(rows, build.recipe.geometry)
    print(f"\nbeside a GPU the host keeps some {host:.1f} ms a sample: {16e3 / host:.0f} samples a "
          "second of 16 cores at most")  # fmt: skip
    figures = {stage: {"ms a sample": round(took, 2), "%": round(took * args.samples / total / 10)}
               for stage, took in rows.items()}  # fmt: skip
    figures["all"] = {"ms a sample": round(sum(rows.values()), 2), "%": 100}
    figures["a GPU's host, estimated"] = {"ms a sample": round(host, 2)}
    if args.quick:
        return 0
    record(f"simgen stages, {args.bands} bands", figures, command=command_line(),
           libraries=LIBRARIES)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

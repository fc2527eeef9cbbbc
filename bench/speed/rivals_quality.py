"""What GDAL's and OTB's pixels are worth beside ours: Wald's protocol and HQNR on real scenes.

Every rival gets the case's PAN and MS as float32 GeoTIFFs, so that no rounding favours anybody,
and is judged as everybody else is. Our classical methods are on the pair as it came, plain
but for one. Run by `python -m bench.speed.rivals`.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import Affine
from torch import Tensor

from bench.speed.made_scenes import GRID, write_geotiff
from bench.speed.programs import LIBRARIES, OURS, Failed, Program, measure, rivals
from bench.speed.record import command_line, record
from bench.study.scoring import reduced_case, softness_of_sensors
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import Contender, classical, score
from fusiontrain.evaluation.protocols import full
from fusiontrain.evaluation.score_image import BETTER
from fusiontrain.scenes.discovery import find_scenes
from shards.errors import PanpriorError

INDICES = {"reduced": ("ERGAS", "SAM", "Q2n"), "full": ("HQNR",)}
NETWORK = "ours network"
SOFT = "MTF-GLP-FS soft"  # no rival is given the softness of the MS; shown beside the plain ones


def contender(program: Program, room: Path) -> Contender:
    def fuse(case: Case) -> Tensor:
        batch = case.batch
        pan, ms, out = (room / f"{name}.tif" for name in ("case_pan", "case_ms", "case_out"))
        write_geotiff(pan, batch.pan[0].numpy(), GRID)
        write_geotiff(ms, batch.ms[0].numpy(), GRID @ Affine.scale(batch.ratio))
        measure(program.command(pan, ms, out, "float"), room, 1)
        with rasterio.open(out) as file:
            fused = file.read(out_dtype="float32")
        for path in (pan, ms, out):
            path.unlink()
        return torch.from_numpy(np.nan_to_num(fused))

    return Contender(name=program.name, fuse=fuse)


def quality(args: argparse.Namespace, room: Path) -> None:
    """Every scene as soon as it is judged; then means, and who wins where."""
    torch.set_num_threads(args.threads)
    contenders = [contender(one, room) for one in rivals(args.threads)]
    contenders += [
        Contender(name=f"ours {one.name}", fuse=one.fuse) for one in classical([*OURS, SOFT])
    ]
    if args.weights is None:
        print("left out: the network; give --weights")
    else:
        from fusiontrain.evaluation.contenders import load_networks

        (one,) = load_networks([args.weights])
        contenders.append(Contender(name=NETWORK, fuse=one.fuse))
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}  # (scene, protocol)
    entries = find_scenes([args.scenes])
    softness = softness_of_sensors(entries)
    for entry in entries:
        if args.names and entry.name not in args.names:
            continue
        for protocol, indices in INDICES.items():
            if args.protocol not in (protocol, "both"):
                continue
            try:
                case = full(entry.load()) if protocol == "full" else reduced_case(entry, softness)
            except PanpriorError as error:
                print(f"left out: {entry.name}, {protocol}: {error}")
                continue
            found[entry.name, protocol] = _judged(case, contenders, indices)
            figures = {" ".join(key): value for key, value in found.items()}
            record(
                "fuse beside others: quality", figures, command=command_line(), libraries=LIBRARIES
            )
    _print_means(found, [one.name for one in contenders])


def _judged(
    case: Case, contenders: Sequence[Contender], indices: Sequence[str]
) -> dict[str, dict[str, float]]:
    rows = {}
    for one in contenders:
        try:
            (result,) = score(case, [one])
        except (Failed, PanpriorError) as error:
            print(f"left out: {case.name}, {case.protocol}, {one.name}: {error}", flush=True)
            continue
        rows[one.name] = {name: result.indices[name] for name in indices}
        values = ", ".join(f"{name} {value:.4f}" for name, value in rows[one.name].items())
        print(f"{case.name}, {case.protocol}, {one.name}: {values}", flush=True)
    return rows


def _print_means(
    found: dict[tuple[str, str], dict[str, dict[str, float]]], names: Sequence[str]
) -> None:
    """Over the scenes that everybody fused; and on how many each was the best."""
    columns = []
    for protocol, indices in INDICES.items():
        cases = [
            rows
            for (_, kind), rows in found.items()
            if kind == protocol and all(name in rows for name in names)
        ]
        for index in indices:
            whole = [rows for rows in cases if all(math.isfinite(rows[n][index]) for n in names)]
            if not whole:
                continue
            best = max if BETTER.get(index) == "higher" else min
            winners = [best(rows, key=lambda n: rows[n][index]) for rows in whole]
            means = {n: sum(rows[n][index] for rows in whole) / len(whole) for n in names}
            columns.append((f"{index} ({len(whole)} scenes)", means, winners))
    print("\n| | " + " | ".join(f"{title} | best" for title, *_ in columns) + " |")
    print("|---|" + "---:|" * 2 * len(columns))
    for name in names:
        cells = [f"{means[name]:.4f} | {winners.count(name)}" for _, means, winners in columns]
        print(f"| {name} | {' | '.join(cells)} |")

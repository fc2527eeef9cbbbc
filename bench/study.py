"""The study: what decides how well a network fuses sensors that it has never seen.

python bench/study.py PART --photos DIR --scenes DIR ... [--bar results.json] [--work DIR]
    [--seconds 90] [--seeds 0 1 2] [--only NAME ...] [--weights FILE] [--table]

PART is one of
  families     every any-band architecture, trained alike
  simulation   recipes, and `sensor` without one effect after another
  data         kinds and numbers of photographs
  one-shot     full- and freeze-tuning and training from scratch on one pair, and what is forgotten
  softness     the dial at full resolution, and the sensor's nominal row instead of a measurement
  failures     the worst tiles of each scene, and a picture of each worst
  sensors      the seed paper's six sensors by simulation, WorldView-4 among them
  hqnr         HQNR at full resolution by what the network is told; of the truth, one level down
  adapt        what `fuse --adapt` gains on each scene in 10 and 30 seconds

What trains does so for --seconds of processor time on one thread, on samples in one order, by
bench/ablate.py's schedule. Every run is kept in a file of its own in --work/PART and not run
again; --table prints what there is. Scenes are judged one level down by Wald's protocol, over
the best classical method of each scene and index if --bar gives what `fusiontrain benchmark`
measured of them, else over the injection that networks start from.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from study_adapt import adaptation
from study_failures import failures
from study_fixed import one_shot, softness
from study_hqnr import hqnr
from study_simulated import sensors
from study_trained import data, families, simulation

from fusiontrain.models.pretrained_weights import DEFAULT, find_weights
from shards.errors import PanpriorError

PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "families": families,
    "simulation": simulation,
    "data": data,
    "one-shot": one_shot,
    "softness": softness,
    "failures": failures,
    "sensors": sensors,
    "hqnr": hqnr,
    "adapt": adaptation,
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--photos", type=Path, help="a folder of photographs to train on")
    parser.add_argument("--scenes", nargs="+", type=Path, default=[])
    parser.add_argument("--bar", type=Path, help="results.json of `fusiontrain benchmark`")
    parser.add_argument("--work", type=Path, default=Path(__file__).with_name("study"))
    parser.add_argument("--seconds", type=float, default=90.0, help="of processor time a run")
    parser.add_argument("--crop", type=int, default=128, help="PAN pixels a side")
    parser.add_argument("--tile", type=int, default=256, help="PAN pixels a side of shards")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=[], help="rows by name")
    parser.add_argument("--weights", type=Path, default=Path(DEFAULT), help="of what is tuned")
    parser.add_argument(
        "--steps", type=int, help="of one-shot and adapt; default: the recipe's, its times"
    )
    parser.add_argument("--table", action="store_true", help="print what there is; run nothing")
    args = parser.parse_args(argv)
    args.weights = find_weights(args.weights)
    torch.set_num_threads(1)
    try:
        if not args.scenes and not args.table and args.part != "sensors":
            raise PanpriorError("this part judges scenes: give --scenes, folders of real pairs")
        print(PARTS[args.part](args))
    except PanpriorError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

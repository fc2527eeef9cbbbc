"""The study: what decides how well a network fuses scenes of sensors that it was not trained on.

python -m bench.study PART --photos DIR --scenes DIR ... [--baseline results.json] [--work DIR]
    [--seconds 90] [--seeds 0 1 2] [--only NAME ...] [--weights FILE] [--table]

PART is one of
  families     every any-band architecture, trained alike
  simulation   recipes, and `sensor` without one effect after another
  data         kinds and numbers of photographs
  ablation     the default network without one choice after another (--shards, --held)
  one-shot     full tuning, freeze-tuning and training from scratch on one pair; what is forgotten
  softness     softness at full resolution, and the sensor's nominal row instead of an estimate
  failures     the worst tiles of each scene, and a picture of each worst
  sensors      the seed paper's six sensors by simulation, WorldView-4 among them
  hqnr         HQNR at full resolution by what the network is given; of the truth, one level down
  known        known truth at full resolution: scenes of `simgen known`, or images of --photos
  known-failures  the worst of those scenes in pictures: truth, network, best classical
  known-limits  what those scenes allow: more coloured detail, and tuning on half of each truth
  seed         the seed paper's own experiment: pretraining by recipe and images, zero-shot, full
               and freeze-tuning of published networks on six sensors (--minutes, --networks)
  guides       several sharp bands in place of PAN: Sentinel-2 and others one level down
  adapt        what `fuse --adapt` gains on each scene in 10 and 30 seconds

Parts that train do so for --seconds of processor time on one thread, on samples in one order.
Every run is kept in a file of its own in --work/PART and not run again; --table prints what there
is. Scenes are scored one level down by Wald's protocol, over the best classical method of each
scene and index if --baseline gives the results of `fusiontrain benchmark`, else over the
injection that networks start from.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from bench.study.ablation import ablation
from bench.study.adapt import adaptation
from bench.study.failures import failures
from bench.study.guides import guides
from bench.study.hqnr import hqnr
from bench.study.known import known
from bench.study.known_failures import known_failures
from bench.study.known_limits import known_limits
from bench.study.one_shot import one_shot
from bench.study.seed import seed
from bench.study.simulated_sensors import sensors
from bench.study.softness import softness
from bench.study.trained import data, families, simulation
from fusiontrain.models.pretrained_weights import SENSOR, find_weights
from shards.errors import PanpriorError

PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "families": families,
    "simulation": simulation,
    "data": data,
    "ablation": ablation,
    "one-shot": one_shot,
    "softness": softness,
    "failures": failures,
    "sensors": sensors,
    "hqnr": hqnr,
    "known": known,
    "known-failures": known_failures,
    "known-limits": known_limits,
    "guides": guides,
    "adapt": adaptation,
    "seed": seed,
}
_USUAL = dict.fromkeys(
    ("known", "known-failures", "known-limits"), Path("default")
)  # not of `sensor`
WITHOUT_SCENES = ("sensors", "ablation", *_USUAL, "guides")  # parts that can do without real scenes


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    args.weights = find_weights(args.weights or _USUAL.get(args.part, SENSOR))
    torch.set_num_threads(1)
    try:
        if not args.scenes and not args.table and args.part not in WITHOUT_SCENES:
            raise PanpriorError("this part scores scenes: give --scenes, folders of real pairs")
        print(PARTS[args.part](args))
    except PanpriorError as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.study", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--photos", type=Path, help="a folder of photographs to train on")
    parser.add_argument("--scenes", nargs="+", type=Path, default=[], help="real pairs")
    parser.add_argument(
        "--baseline", "--bar", type=Path, help="results.json of `fusiontrain benchmark`"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/study"), help="where runs are kept")
    parser.add_argument("--seconds", type=float, default=90.0, help="of processor time a run")
    parser.add_argument("--crop", type=int, default=128, help="PAN pixels a side")
    parser.add_argument("--tile", type=int, default=256, help="PAN pixels a side of shards")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=[], help="rows by name")
    parser.add_argument("--weights", type=Path, help="of what is tuned or scored")
    parser.add_argument(
        "--steps", type=int, help="of one-shot and adapt; default: the recipe's, its times"
    )
    parser.add_argument(
        "--shards", nargs="+", default=[], metavar="DIR[:SHARE]", help="of ablation: to train on"
    )
    parser.add_argument(
        "--held", nargs="*", type=Path, default=[], help="of ablation: builds to score on crops"
    )
    parser.add_argument("--networks", nargs="+", default=[], help="of seed; default: all")
    parser.add_argument("--sensors", nargs="+", default=[], help="of seed; default: all six")
    parser.add_argument("--crops", type=int, default=2048, help="of seed: seen in a pretraining")
    parser.add_argument("--minutes", type=float, help="of seed: no cell begins after so many")
    parser.add_argument("--known", type=Path, help="of seed: scenes of `simgen known`")
    parser.add_argument("--report", type=Path, help="of seed; default: seed.md in --work/seed")
    parser.add_argument("--table", action="store_true", help="print what there is; run nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())

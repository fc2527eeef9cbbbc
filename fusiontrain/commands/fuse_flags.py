"""Flags of `fuse`, in the groups that --help shows."""

import argparse
from pathlib import Path
from typing import Any

from fusiontrain.commands.choices import (
    CLASSICAL_NAMES,
    FORMATS,
    MATCH_LIMIT,
    MEMORY,
    NETWORK,
    SHIPPED_WEIGHTS,
    SPELLING,
    nodata_value,
)
from fusiontrain.fusion.option_limits import DTYPES
from fusiontrain.models.target import TARGETS
from shards.command_line import PlainFlags


class _FuseFlags(PlainFlags):
    """MS may be left out, so flags may stand between PAN and MS only if names are read last."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """With --guide all names but the last are MS; `pan` is then the guides, a tuple."""
        found = self.parse_intermixed_args(args, namespace)
        if found.guide:
            found.ms, found.pan = [found.pan, *found.ms], tuple(found.guide)
        return found


def fuse_parser(description: str | None) -> PlainFlags:
    parser = _FuseFlags(prog="fusiontrain fuse", description=description)
    parser.add_argument("pan", help="PAN file; or a product; or a folder of pairs")
    parser.add_argument(
        "ms", nargs="*", help="MS file, or one file a band in order; none otherwise"
    )
    parser.add_argument("out", type=Path, help="file to write, or a folder for those of a folder")
    _add_method(parser.add_argument_group("fusion"))
    _add_guides(parser.add_argument_group("inputs with several sharp bands"))
    _add_inputs(parser.add_argument_group("inputs"))
    _add_output(parser.add_argument_group("output"))
    _add_running(parser.add_argument_group("running"))
    return parser


def _add_method(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--method",
        default=NETWORK,
        metavar="NAME",
        help=f"{NETWORK} (a network), {', '.join(CLASSICAL_NAMES)}; {SPELLING}",
    )
    group.add_argument(
        "--weights",
        type=Path,
        metavar="PATH",
        help=f"the network: {', '.join(SHIPPED_WEIGHTS)} or a .safetensors file "
        f"(default: {SHIPPED_WEIGHTS[0]})",
    )
    group.add_argument(
        "--target",
        choices=TARGETS,
        help="scene: crisp, bands in place, without the MS sensor's faults; sensor: the MS "
        "sensor's view on the PAN's grid, which Wald's protocol scores (default: what --weights "
        "give; without these, scene)",
    )
    group.add_argument(
        "--model",
        metavar="NAME|MODULE:CLASS",
        help="refuse weights of any other model; your own network: my_module:MyNet",
    )
    group.add_argument(
        "--sensor",
        default="auto",
        metavar="NAME|FILE.toml",
        help="a sensor with a published MTF; auto: estimate the MTF on the scene",
    )
    group.add_argument(
        "--softness",
        default="auto",
        metavar="X",
        help="blur of the fused image, 0.05 (soft) to 0.95 (crisp); auto: 0.9, for the target "
        "sensor as the MS itself, or 0.3 if that is crisper; bands: the same for each band",
    )
    group.add_argument(
        "--quality",
        choices=("normal", "best"),
        default="normal",
        help="best: the network's mean over eight flips and transposes, in eight times the time",
    )
    group.add_argument(
        "--adapt",
        metavar="SECONDS",
        help="tune the network on the scene itself, by Wald's protocol, for about so long "
        "(40steps: exactly so long); kept only if it helps on pixels held out",
    )


def _add_guides(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--guide",
        nargs="+",
        metavar="FILE",
        help="several sharp bands in place of PAN: --guide B02 B03 B04 B08 -- B05 B06 B11 OUT; MS "
        "files may then have several pixel sizes",
    )
    group.add_argument(
        "--keep-guides", action="store_true", help="write the guides' own bands too, first"
    )


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        *("-b", "--bands"),
        action="append",
        default=[],
        metavar="N",
        help="bands of the MS to fuse: 3,2,1, or -b 3 -b 2 -b 1",
    )
    group.add_argument(
        *("--bbox", "-te"),
        nargs=4,
        type=float,
        metavar=("LEFT", "BOTTOM", "RIGHT", "TOP"),
        help="part of the scene to fuse, in the PAN's CRS, by its own statistics",
    )
    group.add_argument(
        "--assume-aligned",
        action="store_true",
        help="files without a geotransform cover the same ground",
    )
    group.add_argument(
        "--match",
        action="store_true",
        help="estimate a large shift, of MS pixels, and move the MS by it",
    )
    group.add_argument(
        "--register",
        choices=("auto", "off"),
        default="auto",
        help="auto: estimate the shift between PAN and MS, and remove it",
    )
    group.add_argument(
        "--local-shift",
        choices=("auto", "off"),
        default="auto",
        help="auto: where the shift varies over the scene, remove it place by place; off: one "
        "shift for the scene",
    )
    group.add_argument(
        "--frame",
        choices=("pan", "ms"),
        default="pan",
        help="where the result lies: on the PAN (the MS is moved), or where the MS lies",
    )
    group.add_argument(
        "--match-limit",
        type=float,
        default=MATCH_LIMIT,
        metavar="X",
        help="largest shift that --match takes, MS pixels",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        *("--format", "-of"),
        choices=FORMATS,
        help="format of the file (default: by the suffix of OUT: .jpg, .png; else COG)",
    )
    group.add_argument(
        *("--dtype", "-ot"),
        type=str.lower,
        metavar="TYPE",
        help=f"{', '.join(DTYPES)} (default: the MS's)",
    )
    group.add_argument(
        "--scale",
        metavar="LOW,HIGH",
        help="what becomes the whole range of a narrower --dtype: 2%%,98%% (percentiles of each "
        "band), MIN,MAX (DN of all bands; 0,100 too), or bits (0 to the sensor's full scale)",
    )
    group.add_argument(
        "--quicklook",
        type=Path,
        metavar="FILE",
        help="write an 8-bit picture for looking at too: .png, .tif or .jpg, up to 2048 pixels a "
        "side",
    )
    group.add_argument(
        *("--nodata", "-nodata"),
        type=nodata_value,
        metavar="X",
        help="value that marks missing pixels in PAN, MS and output (none: no value does; default: "
        "the files' own)",
    )
    group.add_argument(
        *("--creation-option", "-co"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="creation option of GDAL's driver",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:1")
    group.add_argument(
        *("--threads", "-threads"), metavar="N", help="threads of the CPU: a number, or ALL_CPUS"
    )
    group.add_argument(
        "--memory", type=float, default=MEMORY, metavar="GIB", help="GiB that windows may take"
    )
    group.add_argument(
        "--window",
        type=int,
        metavar="N",
        help="side of a window, PAN pixels (default: as --memory allows)",
    )
    group.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        default="float32",
        help="of a network's layers; bf16 is refused where it is not exact enough",
    )
    group.add_argument(
        "--bf16",
        action="store_const",
        const="bf16",
        default="float32",
        dest="precision",
        help="--precision bf16, as it was spelt before",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="print plan, memory and time; write nothing"
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="write a report")
    group.add_argument(
        "--overwrite",
        action="store_true",
        help="of a folder: fuse pairs again whose output is there",
    )
    group.add_argument("--quiet", "-q", action="store_true", help="print errors only")

"""What `fuse` refuses before torch is imported, which takes most of a short run's time."""

import math
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fusiontrain.commands.choices import CLASSICAL_NAMES, NETWORK, SHIPPED_WEIGHTS, SPELLING
from fusiontrain.commands.fuse_values import parse_bands, parse_softness, parse_threads
from fusiontrain.errors import CheckpointError, SceneError
from fusiontrain.fusion.option_limits import DTYPES, check_memory, check_softness, check_window
from fusiontrain.scenes.named_files import check_is_there
from shards.atomic_write import check_place
from shards.near_names import did_you_mean
from shards.sensors import find_sensor

if TYPE_CHECKING:
    from fusiontrain.scenes.products.product import Product


def refuse_early(args: Namespace) -> "Product | None":
    """Flags, output and local inputs; the checks that need pixels or both grids come later.

    Returns the product that PRODUCT OUT names; None of one pair and of a folder of pairs.
    Raises: SceneError; OutputError if no file may stand where the output goes.
    """
    wrong = [text for text in args.creation_option if not text.partition("=")[2]]
    if wrong:
        raise SceneError(f"-co, `creation_option` is NAME=VALUE; got {wrong[0]!r}")
    if args.dtype is not None and args.dtype not in (*DTYPES, "byte"):
        raise SceneError(f"`dtype` is one of {', '.join(DTYPES)}; got {args.dtype!r}")
    parse_threads(args.threads)
    _check_words(args)
    if args.keep_guides and not args.guide:
        raise SceneError("`keep_guides` goes with `guide`: several sharp bands in place of PAN")
    if not args.ms:
        return _product(args)
    _check_one_output(args)
    for name in (*(args.pan if isinstance(args.pan, tuple) else (args.pan,)), *args.ms):
        check_is_there(name)  # rasterio takes longer to import than all that is above
    _check_output(args)
    _check_inputs(args)
    return None


def _product(args: Namespace) -> "Product | None":
    """What PRODUCT OUT names; None of a folder of pairs, which fuse_batch.py checks."""
    from fusiontrain.scenes.products.recognition import (
        check_three_names,
        find_product,
        is_product_call,
    )

    if not is_product_call(args.pan, args.out):
        return None
    check_three_names(args.pan, args.out)
    _check_one_output(args)
    _check_output(args)
    return find_product(args.pan)


def _check_one_output(args: Namespace) -> None:
    if args.overwrite:
        raise SceneError("`overwrite` is for a folder; the output of one pair is always replaced")
    for path in filter(None, (args.out, args.json, args.quicklook)):
        check_place(path)


def _check_output(args: Namespace) -> None:
    from fusiontrain.scenes.output_formats import format_of
    from fusiontrain.scenes.quicklook import check_quicklook
    from fusiontrain.scenes.value_scaling import Scale

    format_of(args.out, args.format)
    Scale.of(args.scale)
    if args.quicklook is not None:
        check_quicklook(args.quicklook)


def _check_inputs(args: Namespace) -> None:
    from fusiontrain.scenes.gdal_environment import gdal, is_local
    from fusiontrain.scenes.grids import check_ratio
    from fusiontrain.scenes.open_raster import check_pan, open_raster

    guides = args.pan if isinstance(args.pan, tuple) else (args.pan,)
    if not all(map(is_local, (*guides, *args.ms))):
        return  # another machine's files are opened once
    if args.guide:
        return  # grids are compared where all are opened
    with gdal(), open_raster(args.pan) as pan, open_raster(args.ms) as ms:
        check_pan(pan)
        if pan.placed and ms.placed and pan.crs == ms.crs:
            to_pan = ~pan.transform @ ms.transform
            check_ratio(math.sqrt(abs(to_pan.determinant)), ms.name)


def _check_words(args: Namespace) -> None:
    """Names and numbers; FusionOptions checks the same again, for callers of the library."""
    parse_bands(args.bands)
    if not args.match_limit > 0:
        raise SceneError(f"`match_limit` is larger than 0; got {args.match_limit:g}")
    check_memory(args.memory)
    if not _may_be_method(args.method):
        names = (NETWORK, *CLASSICAL_NAMES)
        raise SceneError(
            f"no method {args.method!r}; have: {', '.join(names)} ({SPELLING})"
            f"{did_you_mean(args.method, names)}"
        )
    check_softness(parse_softness(args.softness))
    check_window(args.window)
    if args.sensor != "auto":
        find_sensor(args.sensor)
    weights = args.weights
    if weights is not None and str(weights) not in SHIPPED_WEIGHTS and not Path(weights).is_file():
        raise CheckpointError(
            f"no weights at {weights}; expected a .safetensors file, or "
            f"{', '.join(SHIPPED_WEIGHTS)}{did_you_mean(str(weights), SHIPPED_WEIGHTS)}"
        )


def _may_be_method(text: str) -> bool:
    """Whether FusionOptions may take it: case, blanks, hyphens and the prefix MTF are free."""
    return _plain(text).removesuffix("soft") in map(_plain, (NETWORK, *CLASSICAL_NAMES))


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum()).removeprefix("mtf")

"""What `fuse` refuses before torch is imported, which takes most of a short run's time."""

import math
from argparse import Namespace

from fusiontrain.commands.fuse_values import parse_threads
from fusiontrain.errors import SceneError
from shards.atomic_write import check_replaceable

_INTEGERS = [f"{kind}{bits}" for bits in (8, 16, 32, 64) for kind in ("uint", "int")]
DTYPES = (*_INTEGERS, "float32", "float64")


def refuse_early(args: Namespace) -> None:
    """Flags, output and local inputs; the checks that need pixels or both grids come later.

    Raises: SceneError; OutputError if no file may stand where the output goes.
    """
    wrong = [text for text in args.creation_option if not text.partition("=")[2]]
    if wrong:
        raise SceneError(f"-co, `creation_option` is NAME=VALUE; got {wrong[0]!r}")
    if args.dtype is not None and args.dtype not in (*DTYPES, "byte"):
        raise SceneError(f"`dtype` is one of {', '.join(DTYPES)}; got {args.dtype!r}")
    parse_threads(args.threads)
    for path in filter(None, (args.out, args.json)):
        check_replaceable(path)
    from fusiontrain.scenes.gdal_environment import gdal, is_local
    from fusiontrain.scenes.gdal_writing import check_place
    from fusiontrain.scenes.grids import check_ratio
    from fusiontrain.scenes.open_raster import check_pan, open_raster

    check_place(args.out)
    if not all(map(is_local, (args.pan, *args.ms))):
        return  # another machine's files are opened once
    with gdal(), open_raster(args.pan) as pan, open_raster(args.ms) as ms:
        check_pan(pan)
        if pan.placed and ms.placed and pan.crs == ms.crs:
            to_pan = ~pan.transform @ ms.transform
            check_ratio(math.sqrt(abs(to_pan.determinant)), ms.name)

"""Fuse PAN and MS into one file: the MS's bands on the PAN's grid. Or a product, or a folder.

PAN, MS and OUT as gdal_pansharpen takes them; MS may be several files, one a band. Inputs are
what GDAL reads: GeoTIFF, COG, JP2, VRT, /vsi..., https://. `fusiontrain fuse PRODUCT OUT.tif`
finds the images of a product itself: Sentinel-2 (X.SAFE, its zip, a STAC item), Landsat 7 to 9,
Maxar, DIMAP, or a folder of one pair. `fusiontrain fuse FOLDER OUT_FOLDER` fuses all pairs of
FOLDER (X_pan.tif and X_ms.tif, Landsat, IKONOS, Maxar; as `benchmark` finds them). `fusiontrain
fuse --guide B02.jp2 B03.jp2 B04.jp2 B08.jp2 -- B05.jp2 B11.jp2 OUT.tif` takes several sharp bands
in place of PAN. Exit codes: 0 done; 2 bad input or a full disk, with one line that says what to do,
or a pair of the folder failed; 128 + N stopped by signal N; nothing is half-written.
"""

import time
from argparse import Namespace
from typing import TYPE_CHECKING

from fusiontrain.commands.fuse_checks import refuse_early
from fusiontrain.commands.fuse_flags import fuse_parser
from fusiontrain.commands.fuse_values import parse_bands, parse_softness, parse_threads
from fusiontrain.errors import InterruptedBySignal
from shards.command_line import PlainFlags
from shards.signals import stoppable
from shards.waiting_threads import let_threads_sleep

if TYPE_CHECKING:
    from fusiontrain.fusion.fuse_scene import InputFiles
    from fusiontrain.fusion.options import FusionOptions
    from fusiontrain.scenes.products.product import Product
    from fusiontrain.scenes.writer import Output


def make_parser() -> PlainFlags:
    return fuse_parser(__doc__)


def run(args: Namespace) -> int:
    started = time.monotonic()
    let_threads_sleep()
    with stoppable(InterruptedBySignal):
        product = refuse_early(args)
        if not args.ms and product is None:
            return _run_folder(args)
        # Here, not above: torch and rasterio only after the flags are right.
        from fusiontrain.commands.fuse_pair import PairRequest, fuse_pair
        from fusiontrain.fusion.make_fuser import make_fuser

        inputs, options, threads = read_arguments(args, product)
        request = PairRequest(
            inputs=inputs,
            output=read_output(args, threads),
            json=args.json,
            quicklook=args.quicklook,
            dry_run=args.dry_run,
            quiet=args.quiet,
            flags=make_parser().flags,
        )
        if product is not None:
            request.say(f"{product.kind}: {product.name}")
            for note in product.notes:
                request.say(note)
        fuser = make_fuser(options)
        result = fuse_pair(request, fuser, options, threads=threads, started=started)
        if not args.dry_run:
            shape = " x ".join(map(str, result.shape))
            request.say(f"wrote {args.out}: {shape}, {result.dtype}, {result.speed:.2f} Mpix/s")
    return 0


def _run_folder(args: Namespace) -> int:
    from fusiontrain.commands.fuse_batch import run_batch

    inputs, options, threads = read_arguments(args)
    output = read_output(args, threads, folder=True)
    return run_batch(args, output, inputs, options, flags=make_parser().flags)


def read_arguments(
    args: Namespace, product: "Product | None" = None
) -> "tuple[InputFiles, FusionOptions, int]":
    """Input files, options and threads. Raises: SceneError naming the parameter."""
    from fusiontrain.fusion.fuse_scene import InputFiles, use_threads
    from fusiontrain.fusion.options import AdaptationBudget, FusionOptions

    inputs = InputFiles(
        pan=args.pan,
        ms=tuple(args.ms),
        keep_guides=args.keep_guides,
        bands=parse_bands(args.bands),
        bbox=None if args.bbox is None else tuple(args.bbox),
        assume_aligned=args.assume_aligned,
        match=args.match,
        match_limit=args.match_limit,
        nodata=args.nodata,
    )
    if product is not None:
        from fusiontrain.fusion.product_inputs import inputs_of

        inputs = inputs_of(product, inputs)
    options = FusionOptions(
        method=args.method,
        weights=args.weights,
        target=args.target,
        guided=isinstance(inputs.pan, tuple),
        model=args.model,
        sensor=args.sensor,
        softness=parse_softness(args.softness),
        register=args.register == "auto",
        local_shift=args.local_shift == "auto",
        frame=args.frame,
        adapt=AdaptationBudget.of(args.adapt),
        quality=args.quality,
        device=args.device,
        precision=args.precision,
        memory=args.memory,
        window=args.window,
    )
    return inputs, options, use_threads(parse_threads(args.threads))


def read_output(args: Namespace, threads: int, *, folder: bool = False) -> "Output":
    """Raises: SceneError naming the parameter."""
    import numpy as np

    from fusiontrain.scenes.output_formats import format_of
    from fusiontrain.scenes.value_scaling import Scale
    from fusiontrain.scenes.writer import Output

    # Of a folder: all outputs have the format's own suffix.
    form = args.format or "COG" if folder else format_of(args.out, args.format)
    name = "uint8" if args.dtype == "byte" else args.dtype  # GDAL's name
    return Output(
        path=args.out,
        format=form,
        scale=Scale.of(args.scale),
        dtype=None if name is None else np.dtype(name),
        nodata=None if args.nodata == "none" else args.nodata,
        options=dict(text.split("=", 1) for text in args.creation_option),
        threads=threads,
    )

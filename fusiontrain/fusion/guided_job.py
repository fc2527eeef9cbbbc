"""One scene with several sharp bands: open, align, estimate and fit each group, plan."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import FusionJob, InputFiles, torch_threads_for
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.guide_report import make_report
from fusiontrain.fusion.guided_fuser import GuidedFuser, joint_model, prepare_group
from fusiontrain.fusion.memory_errors import memory_errors
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.sensor_identity import gain_notes
from fusiontrain.scenes.gdal_environment import gdal, name_of
from fusiontrain.scenes.guided_pair import open_guided
from fusiontrain.scenes.missing_values import empty_bands_named, mask_warnings
from fusiontrain.scenes.raster import Raster
from fusiontrain.scenes.raster_metadata import all_tags, band_names


@contextlib.contextmanager
def open_guided_job(
    inputs: InputFiles, fuser: Fuser, options: FusionOptions, *, threads: int = 1
) -> Iterator[FusionJob]:
    """As open_job, for `inputs` whose `pan` is guides. Raises: SceneError as open_guided too."""
    check_options(options, match=inputs.match)
    with (
        memory_errors(),
        torch_threads_for(fuser),
        gdal(threads),
        open_guided(
            inputs.pan,
            inputs.ms,
            bands=inputs.bands,
            keep_guides=inputs.keep_guides,
            assume_aligned=inputs.assume_aligned,
            nodata=inputs.nodata,
        ) as opened,
        empty_bands_named(opened.pan_file, *(group.ms_file for group in opened.pairs)),
    ):
        pair = opened if inputs.bbox is None else opened.cropped(inputs.bbox)
        groups = tuple(
            prepare_group(
                pair.group(i),  # the guides' files serve one thread at a time
                options,
                fuser,
                tags=all_tags(pair.pan_file) | all_tags(group.ms_file),
                name=Path(name_of(group.ms_file.paths[0])).stem,
                bands=names_of(group.ms_file),
            )
            for i, group in enumerate(pair.pairs)
        )
        guided = GuidedFuser(inner=fuser, groups=groups)
        report = make_report(groups, pair, names_of(pair.ms_file), register=options.register)
        model = joint_model(groups, pair)
        h, w = (side * pair.ratio for side in pair.shape)
        ratios = " and ".join(str(group.ratio) for group in pair.pairs)
        source = groups[0].source
        size = (
            f"{pair.bands} bands, {h} x {w} pixels by {pair.pan_file.count} guides, {ratios} of "
            "their pixels to one MS pixel"
        )
        yield FusionJob(
            pair=pair,
            fuser=guided,
            options=options,
            sensor_model=model,
            plan=guided.plan(pair, memory=options.memory, core=options.window, threads=threads),
            notes=(
                *filter(None, [pair.note]),
                size,
                f"{source[:1].upper()}{source[1:]}",
                *gain_notes(model, options, target=fuser.target, what="these bands"),
                *report.lines,
                report.registration,
            ),
            warnings=mask_warnings(pair),
            threads=threads,
            guides=report,
        )


def names_of(raster: Raster) -> list[str]:
    """Each band's own name, or its file's."""
    stem = Path(name_of(raster.paths[0])).stem  # of several files band_names has each one's
    return [name or stem for name in band_names(raster)]


def check_options(options: FusionOptions, *, match: bool = False) -> None:
    """Raises: SceneError naming what guides do not go with."""
    if match:
        raise SceneError("`match` is for one PAN; guides are taken to be registered with the bands")
    if options.adapt is not None:
        raise SceneError("`adapt` tunes on a scene with one PAN; leave it out with guides")

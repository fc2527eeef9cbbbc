"""The protocols that methods are scored by: Wald's, full resolution, and known truth."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from fusiontrain.data.crops import Sample
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.own_truth import check_side, sentences, with_own_truth
from fusiontrain.evaluation.score_image import BLOCK, BORDER
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.sensor_model import (
    CRISP,
    Frame,
    PairEstimate,
    SensorModel,
    estimate_pair,
    estimate_pair_shift,
    estimate_sensor_model,
    softness_of_bands,
)
from fusiontrain.imaging.filters import degrade, reduce_pan
from fusiontrain.imaging.masks import eroded, ms_valid_mask
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.reference_toolbox import decimate, imresize_bicubic, mtf_filter
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.imaging.tiling import Box
from fusiontrain.models.target import Target
from fusiontrain.scenes.scene import LEAST_SIDE, Scene
from shards.sensors import GENERIC, match_sensor

REACH = 6  # MS pixels around nodata that filters mix it into
MAX_SAMPLES = 2**26  # PAN pixels times bands that a benchmark holds in memory


def reduced(
    scene: Scene,
    *,
    softness: float | None = None,
    same_sensor: float | None = None,
    convention: GridPhase | None = None,
    pair: PairEstimate | None = None,
) -> Case:
    """The case one level down, with a truth: the scene's own, or its MS (Wald).

    Wald: MS through a Gaussian per band at the sensor's MTF gain and decimated, PAN by
    antialiased bicubic; in the toolbox's `convention` by its own filters. Default `softness`:
    that of each band, estimated on the pair at its own resolution; for a scene with its own
    truth, whose pair is itself simulated, see own_truth.py, which also uses `same_sensor`, the mean
    softness of the sensor's other scenes. `pair`: blur (of each band where it was asked for) and
    shift already estimated on the scene at its own resolution and in its own phase; default:
    estimated here.
    Source: Wald, Ranchin and Mangolini 1997, PE&RS 63(6):691-699.
    Raises: SceneError if the scene is too small, too large, or has too few valid pixels.
    """
    # What is held is a level down, unless the data bring their truth.
    _check_memory(scene, MAX_SAMPLES * (scene.ratio**2 if scene.gt is None else 1))
    if scene.gt is not None:
        return with_own_truth(scene, scene.gt, softness, same_sensor, convention, pair)
    phase = convention or scene.phase
    ms, low, low_pan, valid = _degraded(scene, phase)
    mtf = torch.tensor(scene.sensor.gains(scene.bands))
    ones = torch.ones_like(mtf)
    if softness is None:
        of_bands = softness_of_bands(pair or estimate_pair(scene, bands=True), ones)
    else:
        of_bands = ones * softness
    valid_ms = None if valid is None else ms_valid_mask(valid, scene.ratio)
    shift = estimate_pair_shift(low, low_pan, float(mtf.mean()), scene.ratio, valid_ms, phase)
    return Case(
        name=scene.name,
        scene=replace(
            scene, ms=low.float(), pan=low_pan.float(), valid=valid, phase=phase, geo=None
        ),
        sensor_model=SensorModel(
            mtf=mtf, softness=of_bands.float(), sensor=scene.sensor, shift=shift
        ),
        truth=ms.float(),
        note=sentences(scene.note, f"Wald's protocol, {phase} phase"),
    )


def _degraded(scene: Scene, phase: GridPhase) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """MS cut to whole blocks of the ratio; MS and PAN one level down; the valid mask there."""
    ratio = scene.ratio
    h, w = (side // ratio * ratio for side in scene.shape)
    least = max(ratio * LEAST_SIDE, 2 * BORDER + BLOCK)
    if min(h, w) < least:
        raise SceneError(
            f"{scene.name}: Wald's protocol at ratio {ratio} needs {least} MS pixels a side; "
            f"got {scene.shape[0]}x{scene.shape[1]}"
        )
    ms, pan = scene.ms[:, :h, :w].double(), scene.pan[:, : h * ratio, : w * ratio].double()
    gains = scene.sensor.gains(scene.bands)
    if phase == "toolbox":
        low = decimate(mtf_filter(ms[None], gains, ratio)[0], ratio)
        low_pan = imresize_bicubic(pan, ratio)
    else:
        low = degrade(ms[None], torch.tensor(gains)[None].double(), ratio)[0]
        low_pan = reduce_pan(pan[None], ratio)[0]
    valid = None
    if scene.valid is not None:
        # An MS pixel counts if all PAN pixels over it do, and all that filters mix into it.
        whole = ms_valid_mask(scene.valid[: h * ratio, : w * ratio], ratio)
        valid = eroded(whole, REACH * ratio)
        if not bool(valid.any()):
            raise SceneError(
                f"{scene.name}: no pixel is far enough from nodata to be scored\n"
                "  do: cut out a part with less nodata"
            )
    return ms, low, low_pan, valid


def full(
    scene: Scene,
    *,
    convention: GridPhase | None = None,
    pair: PairEstimate | None = None,
    frame: Frame = "ms",
) -> Case:
    """The scene as it is, without a truth; cut at the right and below to whole blocks of 32.

    `pair` as for `reduced`, with the shifts of bands and places for frame "pan". `frame` "pan": the
    MS is moved to PAN before anything else, as `fuse` does for its default target, so that methods
    and indices get one MS; "ms": as the pair came.
    The toolbox's phase is always scored as it came.
    Raises: SceneError if the scene is too small, too large, or has too few valid pixels.
    """
    _check_memory(scene, MAX_SAMPLES)
    ratio = scene.ratio
    step = math.lcm(BLOCK, ratio)
    H, W = (side // step * step for side in scene.pan.shape[1:])
    if min(H, W) < 2 * BLOCK:
        least = math.ceil(2 * BLOCK / step) * step
        raise SceneError(
            f"{scene.name}: full resolution needs {least} PAN pixels a side; "
            f"got {scene.pan.shape[1]}x{scene.pan.shape[2]}"
        )
    note = "The scene at its own resolution; without a truth"
    frame = frame if (convention or scene.phase) == "aligned" else "ms"
    if frame == "pan":
        scene, pair = _moved_to_pan(scene, pair)
        note += "; the MS is moved to PAN for every method and index"
    model = estimate_sensor_model(
        scene, sensor=scene.sensor, softness=None, register=frame == "ms", pair=pair
    )
    return Case(
        name=scene.name,
        scene=replace(
            scene,
            ms=scene.ms[:, : H // ratio, : W // ratio],
            pan=scene.pan[:, :H, :W],
            gt=None,
            valid=None if scene.valid is None else scene.valid[:H, :W],
            phase=convention or scene.phase,
        ),
        sensor_model=replace(model, frame=frame),
        truth=None,
        note=sentences(scene.note, note),
        pair=pair if frame == "pan" else None,
    )


def _moved_to_pan(scene: Scene, pair: PairEstimate | None) -> tuple[Scene, PairEstimate]:
    """The scene with each band of its MS where PAN is, and the blur; no shift is left."""
    pair = pair or estimate_pair(scene, band_shifts=True, local_shift=True)
    ones = torch.ones(scene.bands)
    found = SensorModel(
        mtf=ones,
        softness=ones,
        shift=pair.shift,
        band_shifts=pair.band_shifts,
        local_shift=pair.local_shift,
        frame="pan",
    )
    moved, _ = in_output_frame(scene, found)
    h, w = scene.shape
    ms = moved.read(Box(top=0, left=0, bottom=h, right=w)).ms
    return replace(scene, ms=ms), PairEstimate(softness=pair.softness, shift=NO_SHIFT)


def known(scene: Scene) -> Case:
    """The pair as delivered, with the ground that it shows as the truth, on PAN.

    Nothing is given but what `fuse` estimates on the pair. Classical methods get the MTF and
    softness of the MS; registered, the MS with each band moved to PAN, as networks get it.
    Raises: SceneError for a scene without truth, in the toolbox's phase (whose truth lies on the
        MS), too small or too large.
    """
    if scene.gt is None or scene.phase != "aligned":
        raise SceneError(
            f"{scene.name}: known truth needs X_gt.tif beside X_pan.tif and X_ms.tif, on PAN's "
            "grid; `simgen known` makes such scenes"
        )
    _check_memory(scene, MAX_SAMPLES)
    check_side(scene)
    pair = estimate_pair(scene, band_shifts=True, local_shift=True)
    return Case(
        name=scene.name,
        scene=replace(scene, gt=None),
        sensor_model=replace(model_of_fuse(scene, None, pair), band_shifts=pair.band_shifts),
        truth=scene.gt.float(),
        note=sentences(scene.note, "Known truth: the ground on PAN, faults on MS and PAN alone"),
        known=True,
        pair=pair,
    )


def model_of_fuse(
    scene: Scene, target: Target | None, pair: PairEstimate | None = None
) -> SensorModel:
    """The sensor model that `fuse` estimates where no flag is given; the result lies on PAN."""
    crisp = target == "scene"
    model = estimate_sensor_model(
        scene,
        sensor=None,
        softness=CRISP if crisp else None,
        band_shifts=crisp,
        local_shift=True,
        pair=pair,
    )
    # One estimate may serve several targets; bands are moved for one of them.
    return replace(model, frame="pan", band_shifts=model.band_shifts if crisp else None)


def simulated(sample: Sample, name: str) -> Case:
    """A sample of a shard: truth, MTF and softness are those it was simulated with."""
    facts = sample.facts
    ms, pan, truth = (
        torch.from_numpy(image.astype("float32")) for image in (sample.ms, sample.pan, sample.truth)
    )
    mtf = torch.tensor(facts.mtf_ms)
    sensor = match_sensor(facts.sensor) or GENERIC
    scene = Scene(name=name, ms=ms, pan=pan, bits=facts.bits, sensor=sensor)
    return Case(
        name=name,
        scene=scene,
        sensor_model=SensorModel(
            mtf=mtf,
            softness=torch.tensor(facts.softness),
            sensor=sensor,
            shift=estimate_pair_shift(ms, pan, float(mtf.mean()), facts.ratio, None, scene.phase),
        ),
        truth=truth,
    )


def _check_memory(scene: Scene, most: int) -> None:
    samples = scene.pan.numel() * scene.bands
    if samples > most:
        raise SceneError(
            f"{scene.name}: the benchmark holds scenes in memory, up to {most} samples; got "
            f"{scene.bands}x{scene.pan.shape[1]}x{scene.pan.shape[2]}: cut a piece (gdal_translate "
            "-srcwin)"
        )

"""How much of a pair its nodata values take, or would: said where it may surprise."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.guided_pair import GuidedPair
from fusiontrain.scenes.raster import EVERY_VALUE, Raster, sample_windows
from fusiontrain.scenes.raster_metadata import band_names
from fusiontrain.scenes.scene import NO_DATA

_NOTED_SHARE = 0.02  # of a scene at 0 in PAN and all bands


@contextmanager
def empty_bands_named(*files: Raster) -> Iterator[None]:
    """SceneError of NO_DATA names the bands that are empty, where some are."""
    try:
        yield
    except SceneError as error:
        if str(error) != NO_DATA:
            raise
        empty = "".join(map(empty_bands, files))
        raise SceneError(f"{NO_DATA}{empty}") from error


def empty_bands(file: Raster) -> str:
    """The bands without any data in a sample of the file, to end a message with; "": none."""

    def read(box: Box) -> tuple[Tensor, Tensor]:
        image = file.read(box)
        return image, image[0].isfinite()

    image, _ = sample_windows(file.height, file.width, read)
    has_data = image.isfinite()
    for mark in file.marks:
        marked = image == image.new_tensor(mark)
        has_data &= ~(marked.all(0) if mark == 0 else marked)  # as Raster.valid
    names = band_names(file)
    labels = [
        f"{number} ({name})" if name else str(number)
        for number, name in zip(file.bands, names, strict=True)
    ]
    return no_data_in(file.name, has_data, labels)


def no_data_in(image: str, has_data: Tensor, labels: Sequence[str] = ()) -> str:
    """The bands of (C, h, w) bool that are False throughout, to end a message with; "": none.

    `labels`: what bands are called; else their numbers from 1.
    """
    labels = labels or [str(number + 1) for number in range(len(has_data))]
    empty = [label for label, own in zip(labels, has_data, strict=True) if not bool(own.any())]
    if not empty:
        return ""
    if len(empty) == len(has_data):
        return f"; {image} has no data in any band"
    bands = f"band {empty[0]}" if len(empty) == 1 else f"bands {', '.join(empty)}"
    return f"; {image} has no data in {bands}: choose others (`bands`)"


def missing_value_warnings(pair: GeoPair) -> tuple[str, ...]:
    """Lines on values that may be taken for data, or for nodata, by mistake; of a sample."""
    return tuple(filter(None, (_partly_missing(pair), _zero_everywhere(pair))))


def mask_warnings(pair: GuidedPair) -> tuple[str, ...]:
    """A line on the pixels of the ground fused that masks of the product rule out, a band."""
    h, w = (side * pair.ratio for side in pair.shape)
    places = [(pair.pan_file, _box(pair.pan_origin, (h, w)))]
    for group in pair.pairs:
        whole = group.ms_file.height, group.ms_file.width
        box = _box(group.ms_origin, group.shape) if group.ms_warped is None else _box((0, 0), whole)
        places.append((group.ms_file, box))
    counts = {
        name or raster.name: count
        for raster, box in places
        for name, mask in zip(band_names(raster), raster.band_masks, strict=False)
        if mask is not None and (count := mask.count(box))
    }
    listed = ", ".join(f"{counts[name]:,} of {name}" for name in sorted(counts))
    line = (
        f"the product's masks rule pixels out as lost or degraded: {listed}; they are missing in "
        "all bands of the output"
    )
    return (line,) if counts else ()


def _box(origin: tuple[int, int], shape: tuple[int, int]) -> Box:
    (top, left), (h, w) = origin, shape
    return Box(top=top, left=left, bottom=top + h, right=left + w)


def _partly_missing(pair: GeoPair) -> str:
    file = pair.ms_file
    if not file.marks or file.count < 2:
        return ""

    def read(box: Box) -> tuple[Tensor, Tensor]:
        image = file.read(box)
        return image[:1], file.partly_marked(image)

    share = float(sample_windows(file.height, file.width, read)[1].float().mean())
    if share == 0:
        return ""
    value = " or ".join(f"{mark:g}" for mark in file.marks)
    taken = "data: 0 is missing where all bands have it" if 0 in file.marks else "missing"
    return (
        f"{_percent(share)} of the MS's pixels have the nodata value {value} in some bands only, "
        f"and count as {taken} (`nodata=none`: no value is missing)"
    )


def _zero_everywhere(pair: GeoPair) -> str:
    """Where nothing says that 0 is missing, and it looks as if it were."""
    if pair.ms_file.given == EVERY_VALUE or 0 in (*pair.ms_file.marks, *pair.pan_file.marks):
        return ""

    def read(box: Box) -> tuple[Tensor, Tensor]:
        ms = pair.read_ms(box)
        dark = (ms == 0).all(0)
        if not bool(dark.any()):  # PAN need not be read
            return ms[:1], dark
        window = pair.read(box)
        zero = ms_valid_mask((window.pan[0] == 0) & window.valid, pair.ratio)
        return window.ms[:1], zero & (window.ms == 0).all(0)

    share = float(sample_windows(*pair.shape, read)[1].float().mean())
    if share < _NOTED_SHARE:
        return ""
    return (
        f"{_percent(share)} of the scene is 0 in PAN and in every band, and counts as data; if it "
        "is a collar or a gap, leave it out by `nodata=0`"
    )


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"

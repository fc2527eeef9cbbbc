import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.draw import ellipse
from skimage.registration import phase_cross_correlation

from simgen.errors import DegradationError
from simgen.physics.geometry import Mover, move_objects, warp
from simgen.recipes import find_recipe
from simgen.sampling import draw_displacements, sample_parameters
from simgen.simulate import numpy_engine


def smooth(size=96, sigma=2.0):
    image = gaussian_filter(np.random.default_rng(0).standard_normal((size, size)), sigma)
    return (image / image.std()).astype(np.float32)


def test_a_warp_is_scipys_interpolation():
    """Quintic splines at the same places, away from the rim."""
    image = smooth()
    y, x = np.mgrid[:96, :96].astype(float)
    down, along = 1.5 * np.sin(x / 20) + 0.3, 1.2 * np.cos(y / 17) - 0.4

    seen = warp(image, down.astype(np.float32), along.astype(np.float32))

    # Rows first move along, so the field along is read where the column then looks.
    places = map_coordinates(along, [y + down, x], order=5, mode="mirror")
    expected = map_coordinates(image.astype(float), [y + down, x + places], order=5, mode="mirror")
    np.testing.assert_allclose(seen[8:-8, 8:-8], expected[8:-8, 8:-8], atol=0.03)


@pytest.mark.parametrize("shift", [(3, 0), (0, -5), (2, 1)])
def test_a_whole_shift_copies_pixels(shift):
    """No interpolation where none is needed."""
    image = smooth()
    down, along = (np.full(image.shape, s, np.float32) for s in shift)

    seen = warp(image, down, along)

    np.testing.assert_allclose(
        seen[10:-10, 10:-10], np.roll(image, (-shift[0], -shift[1]), (0, 1))[10:-10, 10:-10],
        atol=1e-6,
    )  # fmt: skip


def test_displacements_have_the_drawn_spread():
    """Over many samples, in scene pixels; and no step that would tear the scene."""
    recipe = find_recipe("sensor").with_fields(
        tile=64, local_shift_chance=1.0, local_shift=(0.5, 0.5)
    )
    fields = [
        draw_displacements(
            sample_parameters(recipe, bands=4, seed=0, key=str(k), height=300, width=300), 128
        )
        for k in range(60)
    ]

    at_nodes = np.array([field[:, 0, 0] for field in fields])
    assert 1.0 == pytest.approx(at_nodes.std(), rel=0.2)
    assert max(np.abs(np.diff(field, axis=1)).max() for field in fields) < 1


@pytest.mark.parametrize(("row", "column"), [(1.3, -0.6), (-0.4, 0.9)])
def test_pan_is_misregistered_by_what_was_drawn(row, column, monkeypatch):
    """skimage's sub-pixel registration finds the shift, to a twentieth of a PAN pixel."""
    monkeypatch.setattr(
        "simgen.sampling.optics.vector",
        lambda rng, length: length * np.array([row, column]) / np.hypot(row, column),
    )
    length = float(np.hypot(row, column))
    recipe = find_recipe("paper").with_fields(
        kernel="gaussian",
        oversample=2,
        shift_chance=1.0,
        shift=(length, length),
        softness=(0.5, 0.5),
        mtf_pan=(0.5, 0.5),
        bits=(12,),
    )
    draw = sample_parameters(recipe, bands=1, seed=0, key="a", height=600, width=600)
    crop = ((smooth(512, 3.0) * 40 + 128).clip(0, 255)).astype(np.uint8)

    gt, _, pan = numpy_engine.make(np.repeat(crop[..., None], 3, 2), draw, recipe)

    window = np.outer(np.hanning(256), np.hanning(256))
    seen = [(image[0] - image.mean()) * window for image in (gt, pan)]
    found, _, _ = phase_cross_correlation(*seen, upsample_factor=50, normalization=None)
    np.testing.assert_allclose(found, (row, column), atol=0.05)


def test_moving_an_object_is_pixels_elsewhere():
    """Against skimage's ellipse: covered ahead, uncovered behind, the rest untouched."""
    image = smooth(64, 1.0)[None]
    mover = Mover(centre=(30, 28), half=(5.0, 7.0), motion=(9, -12))

    seen = move_objects(image, (mover,))[0]

    inside = ellipse(30, 28, 4.4, 6.4)
    np.testing.assert_allclose(seen[inside[0] + 9, inside[1] - 12], image[0][inside], atol=1e-6)
    np.testing.assert_allclose(seen[inside], image[0][inside[0] - 9, inside[1] + 12], atol=1e-6)
    touched = np.zeros((64, 64), bool)
    for times in (0, 1):
        rim = ellipse(30 + 9 * times, 28 - 12 * times, 6.1, 8.1)
        touched[rim] = True
    np.testing.assert_array_equal(seen[~touched], image[0][~touched])


def test_an_object_stays_in_the_scene():
    """Its motion too."""
    with pytest.raises(DegradationError, match="leaves"):
        move_objects(
            np.zeros((1, 32, 32), np.float32),
            (Mover(centre=(16, 25), half=(3.0, 3.0), motion=(0, 6)),),
        )

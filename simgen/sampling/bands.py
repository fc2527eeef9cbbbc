"""Random bands of a sample, and the weights of PAN."""

import numpy as np

from simgen.config import Recipe
from simgen.physics.spectral import MATERIALS, NUM_FEATURES, haze, haze_loss, nir_row, response_rows
from simgen.sampling.streams import maybe, uniform

_MOST = 3.0  # of a tint's logarithm
_RGB_NM = (620.0, 545.0, 465.0)


def draw_bands(
    recipe: Recipe, rng: np.random.Generator, C: int, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows from features to C bands, gains, offsets and haze folded in, in shuffled order."""
    rows: np.ndarray = np.zeros((C, NUM_FEATURES if channels == 3 else channels))
    offset: np.ndarray = np.zeros(C)
    wavelength = np.sort(rng.uniform(430, 1000, size=C))
    if channels == 3 and rng.random() < recipe.spectral.spectral:
        widths = rng.uniform(20, 120, size=C)
        rows = response_rows(wavelength, widths, rng.uniform(0.5, 1.5), rng.uniform(0, 0.6))
        offset = rng.uniform(0, 0.1) * (wavelength > 700)  # dry ground too is brighter there
    else:
        own = min(C, channels) if rng.random() < recipe.spectral.keep_rgb else 0
        kept = [2, 1, 0] if channels == 3 else rng.permutation(channels).tolist()
        if channels != 3 and recipe.spectral.shuffle == 0:
            kept = list(range(channels))
        for band in range(own):  # blue, green, red; or the image's own bands
            rows[band, kept[band]] = 1
            wavelength[band] = _RGB_NM[kept[band]] if channels == 3 else wavelength[band]
        for band in range(own, C):
            rows[band], offset[band] = _draw_row(recipe, rng, channels)
    radiometry = recipe.radiometry
    gain = rng.uniform(*radiometry.band_gain, size=C)
    rows = rows * gain[:, None]
    offset = offset * gain + rng.uniform(*radiometry.band_offset, size=C)
    exposure = maybe(rng, radiometry.exposure_chance, radiometry.exposure) or 1.0
    gain, rows, offset = gain * exposure, rows * exposure, offset * exposure
    strength = maybe(rng, radiometry.haze_chance, radiometry.haze)
    airlight = rng.uniform(0.5, 1.0) * float(gain.mean())
    if strength:
        rows, offset = haze(rows, offset, haze_loss(strength, wavelength), airlight)
    order = rng.permutation(C) if rng.random() < recipe.spectral.shuffle else np.arange(C)
    return rows[order].astype(np.float32), offset[order].astype(np.float32)


def _draw_row(recipe: Recipe, rng: np.random.Generator, channels: int) -> tuple[np.ndarray, float]:
    """One band that the photograph does not have, and its offset."""
    row = np.zeros(NUM_FEATURES if channels == 3 else channels)
    if channels == 3 and rng.random() < recipe.spectral.nir:
        rgb = rng.uniform(size=3) * [1.0, 0.5, 0.3]
        row = nir_row(rgb / max(rgb.sum(), 1.0), rng.uniform(0.5, 2.0), rng.uniform(0.2, 1.0))
        return row, float(rng.uniform(0, 0.1))
    if rng.random() < recipe.spectral.signed_rows:
        signed = rng.standard_normal(channels)
        # To no sensor is brighter ground darker; some see more of its colour than its brightness.
        signed *= 1 if signed.sum() >= 0 else -1
        signed -= rng.random() * signed.mean()
        row[:channels] = signed / np.abs(signed).sum()
        # Lift what would be negative, by all or half of the deepest it can go.
        return row, float(-np.minimum(row, 0).sum() * rng.uniform(0.5, 1.0))
    convex = rng.uniform(size=channels)
    row[:channels] = convex / convex.sum()
    return row, 0.0


def draw_materials(
    recipe: Recipe, rng: np.random.Generator, D: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Logits (K, 4) and tints (D, K) of reflectances(); None where bands are mixes alone.

    A band has a place on two axes of reflectance, one in three near what the eye sees; a
    material's tint there is the exponential of a plane.
    """
    spread = uniform(rng, recipe.spectral.material)
    happens = rng.random() < recipe.spectral.material_chance
    width = rng.uniform(0.08, 0.2)  # of a class, root of light
    grey = rng.uniform(0.05, 0.95, size=(MATERIALS, 1))
    colours = np.clip(grey + rng.normal(0, 0.12, size=(MATERIALS, 3)), 0, 1)
    slopes = rng.normal(0, spread, size=(MATERIALS, 2))
    places = rng.uniform(0, 1, size=(D, 2)) * [1.0, 0.6]
    places[rng.random(D) < 0.35] *= 0.15
    if not happens:
        return None
    # A Gaussian about each colour: its square of the pixel is common to all, and falls out.
    logits = np.column_stack([colours / width**2, -(colours**2).sum(1) / (2 * width**2)])
    tints = np.exp(np.clip(places @ slopes.T, -_MOST, _MOST))
    tints /= tints.mean(1, keepdims=True)  # brightness is the gains' to draw
    return logits.astype(np.float32), tints.astype(np.float32)


def draw_pan(
    recipe: Recipe, rng: np.random.Generator, rows: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(D, F) rows, (D,) offsets, (1, D) PAN's weights: non-negative, on two bands or more.

    D is C, or C + 1 where PAN also sees a band outside the MS's.
    """
    C = rows.shape[0]
    least = max(min(2, C), int(np.ceil(recipe.spectral.pan_sees * C)))
    order = rng.permutation(C)
    seen = order[: rng.integers(least, C + 1)]
    weights = np.zeros(C)
    weights[seen] = rng.uniform(size=seen.size) + 1e-3
    share = maybe(rng, recipe.spectral.pan_hidden_chance, recipe.spectral.pan_hidden)
    if share:
        row, lift = _beyond(rows, offset, order[0], order[-1], rng.random())
        rows = np.concatenate([rows, row[None].astype(np.float32)])
        offset = np.append(offset, np.float32(lift))
        if C > 2:
            weights[order[-1]] = 0
        weights = np.append(weights / weights.sum() * (1 - share), share)
    weights *= uniform(rng, recipe.spectral.pan_gain) / weights.sum()
    return rows, offset, weights[None].astype(np.float32)


def draw_guides(
    recipe: Recipe, rng: np.random.Generator, C: int, channels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(C + G, F) rows, offsets, (G, C + G) weights of C bands and of the G guides after them.

    The guides are the first bands drawn: those of the photograph where these are kept.
    """
    G = recipe.spectral.guides
    rows, offset = draw_bands(recipe.with_fields(shuffle=0.0), rng, G + C, channels)
    order = [*range(G, G + C), *range(G)]
    weights = np.eye(G, G + C, C, dtype=np.float32)
    return rows[order], offset[order], weights


def _beyond(
    rows: np.ndarray, offset: np.ndarray, near: int, far: int, step: float
) -> tuple[np.ndarray, float]:
    """A band beyond `near` as seen from `far`: spectra are smooth, so it goes on as they do.

    Of PAN's weights by least squares that of `far` comes out a little negative, as those of
    real sensors do for the blue.
    """
    level = np.abs(rows[near]).sum() / max(float(np.abs(rows[far]).sum()), 1e-6)
    row = rows[near] + step * (rows[near] - level * rows[far])
    return row, float(offset[near] + step * (offset[near] - level * offset[far]))

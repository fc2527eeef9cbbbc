"""Colours of error maps: dark for no error, bright for large ones. Needs no Pillow."""

from bisect import bisect_right

# Lightness rises all the way, so that the order shows in grey print and to colour-blind eyes; hue
# turns from violet by teal to yellow, to set the middle apart from the ends.
ANCHORS = (
    (0.00, (16, 12, 40)),
    (0.20, (61, 40, 124)),
    (0.40, (46, 98, 151)),
    (0.60, (30, 154, 140)),
    (0.80, (140, 206, 92)),
    (1.00, (255, 243, 184)),
)
FULL_SCALE = 1.0  # spread of the band; more is as bright
SCALE_NOTE = (
    "Mean over bands of the absolute error, in spreads (standard deviations) of the band's truth: "
    f"darkest 0, brightest {FULL_SCALE:g} and more; averaged over blocks of pixels in large scenes."
)


def colour_at(share: float) -> tuple[int, int, int]:
    """The colour at `share` of full scale, linear between anchors."""
    share = min(max(share, 0.0), 1.0)
    place = min(bisect_right([at for at, _ in ANCHORS], share), len(ANCHORS) - 1)
    (low, dark), (high, bright) = ANCHORS[place - 1], ANCHORS[place]
    part = (share - low) / (high - low)
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(dark, bright, strict=True))
    return red, green, blue


def as_css() -> str:
    """The ramp from left to right as a CSS gradient."""
    stops = ", ".join(f"rgb({r} {g} {b}) {at:.0%}" for at, (r, g, b) in ANCHORS)
    return f"linear-gradient(to right, {stops})"

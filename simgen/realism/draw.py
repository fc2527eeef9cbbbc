"""One picture a statistic: the real scenes' histogram, and a line for each build."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simgen.realism.compare import Comparison
from simgen.realism.distance import Values
from simgen.realism.statistics import STATISTICS, Statistic

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 12, 12, 58, 22
_BARS, _TICKS = 32, 5
_REAL, _INK = "#c9c9c9", "#222222"
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_COLUMNS = 3


def panels(found: Comparison) -> dict[str, Image.Image]:
    """A picture by statistic."""
    return {s.name: _panel(s, found) for s in STATISTICS}


def sheet(pictures: dict[str, Image.Image]) -> Image.Image:
    """All pictures on one."""
    rows = -(-len(pictures) // _COLUMNS)
    whole = Image.new("RGB", (_COLUMNS * _WIDTH, rows * _HEIGHT), "white")
    for i, picture in enumerate(pictures.values()):
        whole.paste(picture, (i % _COLUMNS * _WIDTH, i // _COLUMNS * _HEIGHT))
    return whole


def _panel(s: Statistic, found: Comparison) -> Image.Image:
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    draw.text((_LEFT, 4), s.text + (f" ({s.unit})" if s.unit else ""), _INK, font)
    real = _bars(found.real.values[s.name], s.shown)
    builds = [_bars(side.values[s.name], s.shown) for side in found.builds]
    # A build that is all in one bar may leave the picture: the real side must stay to be seen.
    highest = min(max(bars.max() for bars in (real, *builds)), 2.5 * real.max())
    floor, room = _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM - _TOP
    edges = np.linspace(_LEFT, _WIDTH - _RIGHT, _BARS + 1)
    for left, right, bar in zip(edges[:-1], edges[1:], real, strict=True):
        draw.rectangle((left, floor - room * bar / highest, right, floor), fill=_REAL)
    where = _legend(draw, font, _LEFT, "real", _REAL)
    for i, (side, bars) in enumerate(zip(found.builds, builds, strict=True)):
        colour = _COLOURS[i % len(_COLOURS)]
        heights = floor - room * np.minimum(bars, highest) / highest
        corners = [(x, y) for a, b, y in zip(edges[:-1], edges[1:], heights, strict=True)
                   for x in (a, b)]  # fmt: skip
        draw.line([(edges[0], floor), *corners, (edges[-1], floor)], colour, 2)
        distance = found.distances[side.name][s.name]
        where = _legend(draw, font, where, f"{side.name} {distance:.2f}", colour)
    draw.line((_LEFT, floor, _WIDTH - _RIGHT, floor), _INK)
    for i in range(_TICKS):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * i / (_TICKS - 1)
        value = s.shown[0] + (s.shown[1] - s.shown[0]) * i / (_TICKS - 1)
        draw.text((x, floor + 11), f"{value:g}", _INK, font, "lm" if i == 0 else "rm" if
                  i == _TICKS - 1 else "mm")  # fmt: skip
    return image


def _legend(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    x: float,
    text: str,
    colour: str,
) -> float:
    """Draws one entry; where the next begins."""
    draw.rectangle((x, 25, x + 10, 35), fill=colour)
    draw.text((x + 14, 23), text, _INK, font)
    return x + 26 + draw.textlength(text, font)


def _bars(values: Values, shown: tuple[float, float]) -> np.ndarray:
    inside = np.clip(values.numbers, *shown)
    return np.histogram(inside, _BARS, shown, weights=values.weights)[0]

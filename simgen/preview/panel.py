"""A panel of the gallery, and the recipe that its changes start from."""

from dataclasses import dataclass, field
from typing import Any, Literal

from simgen.config import Recipe
from simgen.effects import OpticsRanges, RadiometryRanges, SpectralRanges

PLAIN = Recipe(
    name="plain",
    zoom=(1.0, 1.0),
    optics=OpticsRanges(mtf_ms=(0.3, 0.3), mtf_pan=(0.6, 0.6), softness=(0.6, 0.6)),
    spectral=SpectralRanges(keep_rgb=1.0, signed_rows=0.0, shuffle=0.0, pan_unexplained_chance=0.0),
    radiometry=RadiometryRanges(bits=(12,)),
)

Shown = Literal["gt", "ms", "pan", "false colour", "fringes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """What to show, and the switches that are on in the right half only."""

    name: str
    text: str
    shows: Shown
    changes: dict[str, Any]
    also: dict[str, Any] = field(default_factory=dict)  # in both halves
    photo: str = "astronaut.png"
    window: int = 128  # PAN pixels of the middle that are shown
    brightest: float = 1.0  # share of full scale that is shown white

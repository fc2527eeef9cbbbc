"""Panels of the gallery: one an effect, stronger than `sensor` draws it, so that it shows."""

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


PANELS = (
    Panel(
        name="softness",
        text="target: softness .9 | .08 at its own Nyquist",
        shows="gt",
        changes={"softness": (0.08, 0.08)},
        also={"softness": (0.9, 0.9)},
    ),
    Panel(
        name="mtf-pan",
        text="PAN: gain .9 | .4",
        shows="pan",
        changes={"mtf_pan": (0.4, 0.4)},
        also={"mtf_pan": (0.9, 0.9)},
    ),
    Panel(
        name="mtf-ms",
        text="MS: gain .5 | .12",
        shows="ms",
        changes={"mtf_ms": (0.12, 0.12)},
        also={"mtf_ms": (0.5, 0.5)},
    ),
    Panel(
        name="physical",
        text="MS of a soft target: by Wald | seen directly",
        shows="ms",
        changes={"physical": 1.0},
        also={"softness": (0.95, 0.95), "mtf_ms": (0.6, 0.6)},
    ),
    Panel(
        name="area",
        text="MS: picked | averaged",
        shows="ms",
        changes={"decimation": ("area",)},
        also={"mtf_ms": (0.6, 0.6)},
    ),
    Panel(
        name="bicubic",
        text="MS: picked | bicubic",
        shows="ms",
        changes={"decimation": ("bicubic",)},
        also={"mtf_ms": (0.6, 0.6)},
    ),
    Panel(
        name="ratio",
        text="MS at ratio 4 | 6",
        shows="ms",
        changes={"ratio": 6},
        also={"tile": 252},
    ),
    Panel(
        name="anisotropy",
        text="PAN: sharper along than down the rows (strong)",
        shows="pan",
        changes={"anisotropy": (0.5, 0.5)},
        also={"mtf_pan": (0.2, 0.2)},
    ),
    Panel(
        name="defocus",
        text="PAN out of focus, radius 1.5",
        shows="pan",
        changes={"defocus_chance": 1.0, "defocus": (1.5, 1.5)},
    ),
    Panel(
        name="halo",
        text="PAN sharpened on the ground",
        shows="pan",
        changes={"halo_chance": 1.0, "halo": (0.15, 0.15)},
        also={"mtf_pan": (0.4, 0.4)},
    ),
    Panel(
        name="shift",
        text="PAN (green) on target (magenta): 1.5 pixels off",
        shows="fringes",
        changes={"shift_chance": 1.0, "shift": (1.5, 1.5)},
    ),
    Panel(
        name="local-shift",
        text="PAN on target: a smooth field, spread 1 pixel",
        shows="fringes",
        changes={"local_shift_chance": 1.0, "local_shift": (1.0, 1.0)},
        window=256,
    ),
    Panel(
        name="parallax",
        text="bands of the target apart by up to 2 pixels",
        shows="gt",
        changes={"parallax_chance": 1.0, "parallax": (2.0, 2.0)},
    ),
    Panel(
        name="moving",
        text="PAN on target: objects that moved in between",
        shows="fringes",
        changes={"moving_chance": 1.0, "moving": (6.0, 14.0), "moving_size": (3.0, 6.0)},
        window=256,
    ),
    Panel(
        name="jitter",
        text="colours of the photograph: as they were | jittered",
        shows="gt",
        changes={
            "jitter_chance": 1.0,
            "brightness": (0.85, 0.85),
            "contrast": (1.2, 1.2),
            "saturation": (1.5, 1.5),
            "hue": (30.0, 30.0),
        },
    ),
    Panel(
        name="high-pass",
        text="photograph: as it was | its high frequencies doubled",
        shows="gt",
        changes={"high_pass_chance": 1.0, "high_pass": (1.5, 1.5)},
        also={"softness": (0.9, 0.9)},
    ),
    Panel(
        name="gamma",
        text="light: photograph's own values | gamma 2.2",
        shows="gt",
        changes={"gamma": (2.2, 2.2)},
    ),
    Panel(
        name="convex",
        text="bands 4, 3, 2 as colours: RGB kept | all are convex mixes",
        shows="false colour",
        changes={"keep_rgb": 0.0},
        photo="chelsea.png",
    ),
    Panel(
        name="signed",
        text="bands 4, 3, 2 as colours: 4 a convex mix | a signed one",
        shows="false colour",
        changes={"signed_rows": 1.0},
        photo="chelsea.png",
    ),
    Panel(
        name="materials",
        text="bands of RGB | tinted by six materials",
        shows="false colour",
        changes={"material_chance": 1.0, "material": (1.6, 1.6)},
        window=256,
    ),
    Panel(
        name="nir",
        text="bands 4, 3, 2 as colours, the suit dyed green: 4 convex | NIR-like",
        shows="false colour",
        changes={"nir": 1.0},
        also={"jitter_chance": 1.0, "hue": (110.0, 110.0)},
        window=256,
    ),
    Panel(
        name="spectral",
        text="RGB | bands of drawn response curves",
        shows="gt",
        changes={"spectral": 1.0},
    ),
    Panel(
        name="shuffle",
        text="bands in order | shuffled",
        shows="gt",
        changes={"shuffle": 1.0},
    ),
    Panel(
        name="haze",
        text="haze, deepest in the blue",
        shows="gt",
        changes={"haze_chance": 1.0, "haze": (0.6, 0.6)},
    ),
    Panel(
        name="gains",
        text="bands: full scale | gains and offsets drawn",
        shows="gt",
        changes={"band_gain": (0.15, 0.65), "band_offset": (0.0, 0.08)},
    ),
    Panel(
        name="exposure",
        text="exposure 1 | 2.5: highlights saturate",
        shows="gt",
        changes={"exposure_chance": 1.0, "exposure": (2.5, 2.5)},
    ),
    Panel(
        name="unexplained",
        text="PAN with texture that no band has",
        shows="pan",
        changes={"pan_unexplained_chance": 1.0, "pan_unexplained": (0.5, 0.5)},
    ),
    Panel(
        name="pan-sees",
        text="PAN sees some of the bands | all of them",
        shows="pan",
        changes={"pan_sees": 1.0},
        also={"signed_rows": 1.0},
    ),
    Panel(
        name="hidden",
        text="PAN also sees a band outside the MS's",
        shows="pan",
        changes={"pan_hidden_chance": 1.0, "pan_hidden": (0.8, 0.8), "signed_rows": 1.0},
        photo="chelsea.png",
    ),
    Panel(
        name="pan-gain",
        text="PAN: sum of weights 1, no offset | .7 and .1",
        shows="pan",
        changes={"pan_gain": (0.7, 0.7), "pan_offset": (0.1, 0.1)},
    ),
    Panel(
        name="read-noise",
        text="MS with read noise (strong)",
        shows="ms",
        changes={"read_noise": (0.03, 0.03), "noise_spread": 0.3},
    ),
    Panel(
        name="shot-noise",
        text="MS with shot noise (strong)",
        shows="ms",
        changes={"shot_noise": (0.004, 0.004)},
    ),
    Panel(
        name="common-noise",
        text="MS noise: each band its own | common to all",
        shows="ms",
        changes={"noise_common": (1.0, 1.0)},
        also={"read_noise": (0.05, 0.05)},
    ),
    Panel(
        name="grain",
        text="PAN noise: white | grained",
        shows="pan",
        changes={"noise_grain": (0.7, 0.7)},
        also={"read_noise": (0.05, 0.05)},
    ),
    Panel(
        name="stripes",
        text="PAN with stripes (strong)",
        shows="pan",
        changes={
            "stripe_chance": 1.0,
            "stripe_offset": (0.01, 0.01),
            "stripe_gain": (0.05, 0.05),
        },
    ),
    Panel(
        name="bits",
        text="PAN of low gain: 12 bits | 8 bits",
        shows="pan",
        changes={"bits": (8,)},
        also={"pan_gain": (0.08, 0.08)},
        brightest=0.07,
    ),
    Panel(
        name="compression",
        text="PAN after on-board compression (strong)",
        shows="pan",
        changes={"compression_chance": 1.0, "compression": (0.15, 0.15)},
    ),
)

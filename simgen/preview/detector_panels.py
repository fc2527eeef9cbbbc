"""Panels of the gallery that show the detector: noise, stripes, bits and compression."""

from simgen.preview.panel import Panel

DETECTOR_PANELS = (
    Panel(
        name="read-noise",
        text="MS with read noise (strong)",
        shows="ms",
        changes={"read_noise": (0.03, 0.03), "noise_spread": 0.3},
    ),
    Panel(
        name="pan-noise",
        text="PAN noise: as much as the MS's (strong) | a fifth of it",
        shows="pan",
        changes={"noise_pan": 0.2},
        also={"read_noise": (0.05, 0.05)},
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

"""Names and defaults for --help, without importing torch; a test holds them to the registries."""

import argparse
from typing import Literal

MODEL_NAMES = (
    "anyband",
    "anyband-scene",
    "anyband-sensor",
    "anyband-small",
    "anyband-fusionmamba",
    "anyband-gppnn",
    "anyband-lagconv",
    "anyband-panformer",
    "anyband-panmamba",
    "anyband-pannet",
    "anyband-restormer",
    "fusionmamba",
    "fusionnet",
    "gppnn",
    "lagconv",
    "msdcnn",
    "panformer",
    "panmamba",
    "pannet",
    "pnn",
    "swinir",
    "swinir-small",
)
NETWORK = "net"
CLASSICAL_NAMES = (
    *("EXP", "Brovey", "PCA", "GS", "GSA", "BT-H", "PRACS", "BDSD", "BDSD-PC", "AWLP", "MTF-GLP"),
    *("MTF-GLP-FS", "MTF-GLP-CBD", "MTF-GLP-HPM", "MTF-GLP-HPM-R", "SR-D", "TV"),
)
SPELLING = "NAME-soft: on a softened PAN; case, hyphens and MTF- are free"
SHIPPED_WEIGHTS = ("default", "default-sensor", "small", "default-open", "pannet", "swinir-small")
FORMATS = ("COG", "GTiff", "JPEG", "PNG")
MATCH_LIMIT = 8.0  # MS pixels
MEMORY = 2.0  # GiB


def nodata_value(text: str) -> float | Literal["none"]:
    """A number, or none: no value marks missing pixels."""
    return "none" if text.strip().lower() == "none" else float(text)


def model_name(text: str) -> str:
    """A name of MODEL_NAMES, or my_module:MyNet."""
    if text not in MODEL_NAMES and ":" not in text:
        raise argparse.ArgumentTypeError(
            f"no model {text!r}; have: {', '.join(MODEL_NAMES)}, or my_module:MyNet"
        )
    return text


nodata_value.__name__ = "number, or none"  # argparse: invalid number, or none value: 'x'

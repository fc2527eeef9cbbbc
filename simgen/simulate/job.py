"""One sample to make, and what is made of it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simgen.sampling import SampleParameters

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # gt, ms, pan
Device = Literal["cpu", "gpu"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One sample to make, of an encoded photograph or of bands: (H, W, any) float32 in 0..1."""

    image: bytes | np.ndarray
    draw: SampleParameters


class DecodeError(Exception):
    """DALI refused a batch; some image in it is at fault."""

"""What a network is trained to give. Without torch, for flags and configurations."""

from typing import Literal

# "scene": crisp, bands in place, without the faults of the MS sensor. "sensor": the MS sensor's
# view on PAN's grid, which Wald's protocol scores.
Target = Literal["scene", "sensor"]
TARGETS: tuple[Target, ...] = ("scene", "sensor")

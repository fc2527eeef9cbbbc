"""What fuses a scene window by window: the interface that both engines satisfy."""

from collections.abc import Callable, Generator
from typing import Protocol

import torch

from fusiontrain.fusion.memory_plan import Plan, Plannable
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import FusedWindow
from fusiontrain.models.target import Target
from fusiontrain.scenes.scene import WindowedScene


def no_progress(total: int) -> None:
    """Progress callback of who wants none; `total`: windows of the pass."""


class Fuser(Plannable, Protocol):
    """A network or a classical method, ready to fuse any number of scenes."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def blind(self) -> bool:
        """Whether it uses neither MTF nor softness."""

    @property
    def target(self) -> Target | None:
        """What a network was trained to give; None of a classical method."""

    @property
    def tags(self) -> dict[str, str]:
        """PANPRIOR_* tags that say how an output was made."""

    def fuse(
        self,
        scene: WindowedScene,
        sensor_model: SensorModel,
        plan: Plan,
        *,
        advance: Callable[[int], None] = no_progress,
    ) -> Generator[FusedWindow, None, None]:
        """The scene, window by window.

        `advance` is called for each window of the first passes, with the number of them all.
        """

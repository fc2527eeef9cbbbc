"""How a scene is to be fused: method, weights, sensor, softness, limits. Checked when made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fusiontrain.classical import PLAIN, find_method_name
from fusiontrain.errors import SceneError
from fusiontrain.fusion.option_limits import (
    check_memory,
    check_softness,
    check_window,
    flag,
    is_word,
    shown,
)
from fusiontrain.fusion.sensor_model import Frame
from fusiontrain.models.target import TARGETS, Target
from shards.near_names import did_you_mean

NETWORK = "net"
Quality = Literal["normal", "best"]
Precision = Literal["float32", "bf16"]
MEMORY = 2.0  # GiB that windows may take
_MAX_SECONDS, _MAX_STEPS = 3600, 1000  # of adaptation


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationBudget:
    """How long a network is adapted to its scene: about `seconds`, or exactly `steps`."""

    seconds: float = 0.0
    steps: int | None = None

    @staticmethod
    def of(value: "float | str | AdaptationBudget | None") -> "AdaptationBudget | None":
        """60, "60" or "40steps". Raises: SceneError naming what is accepted."""
        if value is None or isinstance(value, AdaptationBudget):
            return value
        text = str(value).strip().lower()
        number = text.removesuffix("steps").strip()
        try:
            if number != text and 1 <= int(number) <= _MAX_STEPS:
                return AdaptationBudget(steps=int(number))
            if number == text and 0 < float(number) <= _MAX_SECONDS:
                return AdaptationBudget(seconds=float(number))
        except ValueError:
            pass
        raise SceneError(
            f"`adapt` is seconds, up to {_MAX_SECONDS}, or steps as in 40steps, up to "
            f"{_MAX_STEPS}; got {shown(value)}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionOptions:
    """Options of one fusion. Raises: SceneError naming the option that cannot be."""

    method: str = NETWORK  # or a classical method, spelt in any way; held as tables name it
    weights: Path | None = None  # or a shipped name; None: the shipped default
    target: Target | None = None  # None: what `weights` give; without these the scene
    guided: bool = False  # several sharp bands stand for PAN: without `target` the sensor's view
    model: str | None = None  # weights of any other model are refused
    sensor: str = "auto"  # a name or a .toml file
    softness: float | Literal["bands"] | None = None  # None: by the target
    register: bool = True  # the shift between PAN and MS is estimated and removed
    local_shift: bool = True  # as it varies over the scene, where the pair supports that
    frame: Frame = "pan"  # where the result lies; the other image is moved there
    adapt: AdaptationBudget | None = None
    device: str = "auto"
    quality: Quality = "normal"  # best: the mean of eight flips
    precision: Precision = "float32"  # of a network's layers; bf16 is refused where it shows
    memory: float = MEMORY
    window: int | None = None  # PAN pixels a side that a window writes; None: by memory

    def __post_init__(self) -> None:
        self._check_kinds()
        object.__setattr__(self, "method", _method_name(self.method))
        if self.adapt is not None and self.method != NETWORK:
            raise SceneError(
                f"`adapt` tunes a network; `method={self.method}` is none: leave one of them out"
            )
        self._check_target()
        if not is_word(self.quality, get_args(Quality)):
            raise SceneError(f"`quality` is normal or best; got {shown(self.quality)}")
        if self.quality == "best" and self.method != NETWORK:
            raise SceneError(
                f"`quality=best` averages a network's flips; `method={self.method}` is none: leave "
                "one of them out"
            )
        if not is_word(self.precision, get_args(Precision)):
            raise SceneError(f"`precision` is float32 or bf16; got {shown(self.precision)}")
        if self.precision == "bf16" and self.method != NETWORK:
            raise SceneError(
                f"`precision=bf16` is of a network's layers; `method={self.method}` is none: leave "
                "one of them out"
            )
        check_softness(self.softness)
        check_window(self.window)
        check_memory(self.memory)

    def _check_kinds(self) -> None:
        """Words are words, and switches are switches."""
        for name in ("register", "local_shift"):
            object.__setattr__(self, name, flag(name, getattr(self, name)))
        if not isinstance(self.sensor, str):
            raise SceneError(f"`sensor` is auto, a name or a .toml file; got {shown(self.sensor)}")
        if not isinstance(self.device, str):
            raise SceneError(f"`device` is auto, cpu or cuda; got {shown(self.device)}")
        if not isinstance(self.method, str):
            raise SceneError(f"`method` is a name, as net or gsa; got {shown(self.method)}")

    def _check_target(self) -> None:
        if not is_word(self.frame, get_args(Frame)):
            raise SceneError(f"`frame` is pan or ms; got {shown(self.frame)}")
        if self.target is not None and not is_word(self.target, TARGETS):
            raise SceneError(f"`target` is {' or '.join(TARGETS)}; got {shown(self.target)}")
        for name in ("weights", "model"):
            if getattr(self, name) is not None and self.method != NETWORK:
                raise SceneError(
                    f"`{name}` is of a network; `method={self.method}` is none: leave one of them "
                    "out"
                )
        if self.target is not None and self.method != NETWORK:
            raise SceneError(
                f"`target` is what a network gives; `method={self.method}` is none: leave one of "
                "them out"
            )
        if self.target == "scene" and self.adapt is not None:
            raise SceneError(
                "`adapt` tunes by Wald's protocol, whose truth is the MS sensor's: give "
                "`target=sensor` with it"
            )


def _method_name(text: str) -> str:
    """NETWORK, or the method's name in tables. Raises: SceneError naming those there are."""
    if text.strip().lower() == NETWORK:
        return NETWORK
    name = find_method_name(text)
    if name is None:
        raise SceneError(
            f"no method {text!r}; have: {', '.join((NETWORK, *PLAIN))}; NAME-soft: on a softened "
            f"PAN{did_you_mean(text, (NETWORK, *PLAIN))}"
        )
    return name

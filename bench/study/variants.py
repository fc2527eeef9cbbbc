"""Any-band networks that differ from the default in one choice each, for the part `ablation`.

All start as an injection and share the default's frame; `VARIANTS["default"]` is the default.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.filters import blur
from fusiontrain.imaging.injection import TINY
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.default_network import AnyBand, Block
from fusiontrain.models.anyband.inputs import FIRST_ALTERNATIVE, IMAGES, AnyBandInputs, make_inputs
from fusiontrain.models.layers.polyphase import SHUFFLE
from fusiontrain.training.losses import LEAST_SPREAD, consistent_l1, relative_l1

UP, DETAIL, PAN_LOW = 0, 1, 3  # places among the images that the stem sees
NEARBY = 8.0  # MS pixels: sigma of the windows whose statistics stand for the scene's
CRISP = 0.95  # softness of a PAN that is not blurred
KNOTS = 65  # of the curve that maps PAN's quantiles to a band's
HEADS = 8  # channels of a query

Loss = Callable[[Tensor, Tensor, PanBatch], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One choice made otherwise."""

    group: str
    label: str
    build: Callable[[], nn.Module] = AnyBand
    loss: Loss = consistent_l1
    registered: bool = True


class Exchange(Block):
    """A block whose bands look at each other in another way."""

    def __init__(self, width: int, how: str) -> None:
        super().__init__(width)
        self.how = how
        if how == "mean and max":
            self.shared = nn.Conv2d(2 * width, width, 1)
        if how == "attention":
            self.asks = nn.Conv2d(width, 2 * HEADS, 1)

    def forward(self, x: Tensor, conditions: Tensor, C: int) -> Tensor:
        scale, shift = self.film(conditions)[..., None, None].chunk(2, dim=1)
        y = F.gelu(self.first(x))
        return x + self.second((y + self._others(y, C)) * (1 + scale) + shift)

    def _others(self, y: Tensor, C: int) -> Tensor:
        if self.how == "none":
            return self.shared(y)
        bands = y.reshape(-1, C, *y.shape[1:])
        if self.how == "mean and max":
            seen = torch.cat([bands.mean(1), bands.amax(1)], 1)
            return self.shared(seen).repeat_interleave(C, 0)
        query, key = self.asks(y).reshape(-1, C, 2 * HEADS, *y.shape[2:]).chunk(2, 2)
        weight = torch.einsum("bcdhw,bedhw->bcehw", query, key).div(HEADS**0.5).softmax(2)
        value = self.shared(y).reshape_as(bands)
        return torch.einsum("bcehw,bedhw->bcdhw", weight, value).reshape_as(y)


def exchanging(how: str) -> nn.Module:
    net = AnyBand()
    net.blocks = nn.ModuleList(Exchange(32, how) for _ in range(4))
    return net


class Based(AnyBand):
    """Corrects another injection than the blur-matched MTF-GLP-FS."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def forward(self, batch: PanBatch) -> Tensor:
        if self.base.endswith("plain"):
            batch = replace(batch, softness=torch.full_like(batch.softness, CRISP))
        fused = super().forward(batch)
        if self.base == "GLP-FS, plain":
            return fused
        inputs = make_inputs(batch)
        added = (inputs.stats.gain * inputs.stats.pan_std)[..., None, None] * inputs.image(
            inputs.stem_images[:, :, DETAIL]
        )
        if self.base == "EXP":
            return fused - added
        # HPM-R with haze is one of the other ways: taken whole, and before the network.
        return fused + inputs.stats.ms_std[..., None, None] * inputs.image(
            inputs.alternatives[:, :, 2]
        )


class Blind(AnyBand):
    """Does not see some of the other injection models."""

    def __init__(self, *ways: int) -> None:
        super().__init__()
        self.ways = list(ways)
        self.trust.register_forward_hook(self._no_trust)

    def _no_trust(self, _module: nn.Module, _seen: object, trust: Tensor) -> Tensor:
        kept = torch.ones_like(trust)
        kept[..., self.ways] = 0
        return trust * kept

    def stem_input(self, inputs: AnyBandInputs) -> Tensor:
        seen = super().stem_input(inputs).unflatten(1, (IMAGES, -1)).clone()
        seen[:, [FIRST_ALTERNATIVE + way for way in self.ways]] = 0
        return seen.flatten(1, 2)


class WithoutSoftness(AnyBand):
    """Blur-matched, but the network itself is not given the softness."""

    def __init__(self) -> None:
        super().__init__()
        self.condition.register_forward_pre_hook(self._replace)

    def _replace(self, _module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        conditions = given[0].clone()
        conditions[..., 1] = 0.3
        return (conditions,)


class Local(AnyBand):
    """MS and PAN in the statistics of each pixel's surroundings, not the scene's."""

    def stem_input(self, inputs: AnyBandInputs) -> Tensor:
        seen = F.pixel_shuffle(super().stem_input(inputs), SHUFFLE)
        for place in (UP, PAN_LOW):
            image = seen[:, place : place + 1]
            sigma = torch.full((len(image), 1), NEARBY * inputs.batch.ratio).to(image)
            mean = blur(image, sigma)
            spread = (blur(image * image, sigma) - mean * mean).clamp_min(TINY).sqrt()
            seen[:, place : place + 1] = (image - mean) / (spread + 0.1)
        return F.pixel_unshuffle(seen, SHUFFLE)


class Quantiles(AnyBand):
    """PAN seen through the monotone curve that gives it each band's histogram (UniPAN)."""

    def stem_input(self, inputs: AnyBandInputs) -> Tensor:
        seen = F.pixel_shuffle(super().stem_input(inputs), SHUFFLE)
        at = torch.linspace(0, 1, KNOTS).to(seen)
        flat = seen.flatten(2)
        low, up = (torch.quantile(flat[:, place], at, dim=1).T for place in (PAN_LOW, UP))
        low = low + 1e-4 * torch.arange(KNOTS).to(low)  # strictly rising
        right = torch.searchsorted(low.contiguous(), flat[:, PAN_LOW].contiguous())
        right = right.clamp(1, KNOTS - 1)
        x0, x1, y0, y1 = (
            curve.gather(1, places) for curve in (low, up) for places in (right - 1, right)
        )
        share = ((flat[:, PAN_LOW] - x0) / (x1 - x0)).clamp(0, 1)
        seen[:, PAN_LOW] = (y0 + share * (y1 - y0)).reshape_as(seen[:, PAN_LOW])
        return F.pixel_unshuffle(seen, SHUFFLE)


class Regridded(AnyBand):
    """Blocks on a grid twice finer or twice coarser than the default's."""

    def __init__(self, *, width: int, finer: bool) -> None:
        super().__init__()
        self.change = nn.PixelShuffle(2) if finer else nn.PixelUnshuffle(2)
        self.back = nn.PixelUnshuffle(2) if finer else nn.PixelShuffle(2)
        into, out = (4 * width, 4 * width) if finer else (128, 128)
        self.into = nn.Conv2d(32, into, 1) if finer else nn.Conv2d(into, width, 1)
        self.out = nn.Conv2d(out, 32, 1) if finer else nn.Conv2d(width, out, 1)
        self.finer = finer
        self.blocks = nn.ModuleList(Block(width) for _ in range(4))

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        h, w = x.shape[-2:]
        if self.finer:
            y = self.change(self.into(x))
        else:
            y = self.into(self.change(F.pad(x, (0, w % 2, 0, h % 2), mode="replicate")))
        y = super().body(y, conditions, inputs)
        y = self.out(self.back(y)) if self.finer else self.back(self.out(y))[..., :h, :w]
        return x + y


def with_angle(fused: Tensor, gt: Tensor, batch: PanBatch) -> Tensor:
    """The default's, and the mean spectral angle in radians."""
    cosine = F.cosine_similarity(fused, gt, dim=1).clamp(-1 + 1e-6, 1 - 1e-6)
    return consistent_l1(fused, gt, batch) + torch.acos(cosine).mean()


def alone(fused: Tensor, gt: Tensor, batch: PanBatch) -> Tensor:
    """Without what asks the result to give the MS back."""
    return relative_l1(fused, gt, batch.ms)


def squared(fused: Tensor, gt: Tensor, batch: PanBatch) -> Tensor:
    """Root of the mean square in each band's spread, a sample."""
    spread = batch.ms.std((-2, -1), keepdim=True).clamp_min(LEAST_SPREAD)
    return ((fused - gt) / spread).square().mean((1, 2, 3)).clamp_min(TINY).sqrt().mean()


VARIANTS: dict[str, Variant] = {
    "default": Variant(group="default", label="as it is"),
    "alone": Variant(
        group="exchange", label="none: each band for itself", build=lambda: exchanging("none")
    ),
    "max": Variant(
        group="exchange", label="mean and maximum", build=lambda: exchanging("mean and max")
    ),
    "attention": Variant(
        group="exchange",
        label="attention among bands, a pixel",
        build=lambda: exchanging("attention"),
    ),
    "exp": Variant(group="base", label="EXP", build=lambda: Based("EXP")),
    "plain": Variant(
        group="base", label="GLP-FS, PAN as it comes", build=lambda: Based("GLP-FS, plain")
    ),
    "hpm": Variant(
        group="base", label="HPM-R with haze, blur-matched", build=lambda: Based("HPM-R")
    ),
    "hpm-plain": Variant(
        group="base", label="HPM-R with haze, PAN as it comes", build=lambda: Based("HPM-R, plain")
    ),
    "unregistered": Variant(group="base", label="PAN where it came", registered=False),
    "local": Variant(group="statistics", label="of windows", build=Local),
    "quantiles": Variant(
        group="statistics", label="PAN's quantiles to the band's", build=Quantiles
    ),
    "untold": Variant(
        group="statistics", label="softness not given to the network", build=WithoutSoftness
    ),
    "no-gains": Variant(group="ways", label="without local gains", build=lambda: Blind(0, 1)),
    "no-ratios": Variant(group="ways", label="without HPM-R and BT-H", build=lambda: Blind(2, 3)),
    "no-rest": Variant(group="ways", label="without GSA's residual", build=lambda: Blind(4)),
    "no-ways": Variant(group="ways", label="with none", build=lambda: Blind(0, 1, 2, 3, 4)),
    "finer": Variant(
        group="grid", label="2 PAN pixels, 16 wide", build=lambda: Regridded(width=16, finer=True)
    ),
    "coarser": Variant(
        group="grid", label="8 PAN pixels, 64 wide", build=lambda: Regridded(width=64, finer=False)
    ),
    "wide": Variant(group="size", label="48 wide, 4 blocks", build=lambda: AnyBand(width=48)),
    "slim": Variant(group="size", label="24 wide, 4 blocks", build=lambda: AnyBand(width=24)),
    "short": Variant(group="size", label="32 wide, 2 blocks", build=lambda: AnyBand(blocks=2)),
    "long": Variant(group="size", label="32 wide, 6 blocks", build=lambda: AnyBand(blocks=6)),
    "angle": Variant(group="loss", label="and the spectral angle", loss=with_angle),
    "l1": Variant(group="loss", label="relative L1 alone", loss=alone),
    "squared": Variant(group="loss", label="root mean square instead", loss=squared),
}

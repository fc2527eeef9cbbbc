"""The models there are: a table you can read."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from fusiontrain.errors import UnknownModel
from fusiontrain.models.anyband import AnyBand
from fusiontrain.models.fusionmamba import FusionMamba
from fusiontrain.models.fusionnet import FusionNet
from fusiontrain.models.gppnn import GPPNN
from fusiontrain.models.lagconv import LAGConvNet
from fusiontrain.models.msdcnn import MSDCNN
from fusiontrain.models.panformer import PanFormer
from fusiontrain.models.panmamba import PanMamba
from fusiontrain.models.pannet import PanNet
from fusiontrain.models.pnn import PNN
from fusiontrain.models.published import FULL_SCALE
from fusiontrain.models.swinir import SwinIR

OVERLAP = 64  # PAN pixels around the windows of a network that looks at all of what it is given


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry:
    """One architecture. `build` takes keyword-only sizes."""

    name: str
    family: Literal["cnn", "transformer", "mamba", "unfolding"]
    build: Callable[..., nn.Module]
    sizes: dict[str, int] = field(default_factory=dict)  # the defaults, as checkpoints record them
    params: int  # at those sizes; a test counts them
    published: str = "none"  # the count in print, and at how many bands
    flops: int  # per PAN pixel at those sizes, 2 a multiply-add; a test counts them
    multiple_of: int = 1  # PAN pixels; the network's own grid, where its windows must start
    # PAN pixels that an output pixel looks at on each side at ratio 4; tested. None: all of them,
    # and a scene over fusing.CORE pixels fuses in windows that each know only themselves.
    reach: int | None
    tuned_when_frozen: tuple[str, ...]  # parameters that freeze-tuning trains, by their beginnings
    paper: str

    @property
    def any_band(self) -> bool:
        """One set of weights for any band count."""
        return "bands" not in self.sizes

    def halo(self, ratio: int) -> int:
        """PAN pixels to read around a window: what is counted in MS pixels grows with the ratio."""
        reach = OVERLAP if self.reach is None else math.ceil(self.reach * max(ratio, 4) / 4)
        return -(-reach // self.multiple_of) * self.multiple_of


_STREAMS = (("pan", 2), ("ms", 2), ("pan_rounds", 3), ("ms_rounds", 3))
_NORMS_OF_PANFORMER = tuple(
    f"{stream}.{i}.{layer}.{norm}."
    for stream, count in _STREAMS
    for i in range(count)
    for layer in ("plain", "shifted")
    for norm in ("norm", "second.0")
)
_NORMS_OF_SWINIR = tuple(
    f"groups.{group}.layers.{layer}.{norm}."
    for group in range(4)
    for layer in range(6)
    for norm in ("norm", "second.0")
)
_NORMS_OF_PANMAMBA = (
    *(f"alone.{i}.norms" for i in range(8)),
    *(f"swaps.{i}.norms" for i in range(2)),
    *(f"crossings.{i}.norm" for i in range(5)),
)
_STAGES = ("down_stages.0", "down_stages.1", "up_stages.0", "up_stages.1", "last_stage")
_NORMS_OF_FUSIONMAMBA = tuple(
    f"{stage}.{part}.{i}.norm" for stage in _STAGES for part in ("alone", "crossed") for i in (0, 1)
)

_ENTRIES = (
    ModelEntry(
        name="anyband",
        family="cnn",
        build=AnyBand,
        sizes={"width": 32, "blocks": 4},
        params=94_610,
        flops=41_941,
        multiple_of=4,
        reach=120,
        # The head, and what scales features: FiLM is this network's norm.
        tuned_when_frozen=(
            "head",
            "trust",
            "condition",
            *(f"blocks.{i}.film" for i in range(4)),
        ),
        paper="panprior's own; injection of Vivone et al. 2018, doi:10.1109/TIP.2018.2819501",
    ),
    ModelEntry(
        name="pnn",
        family="cnn",
        build=PNN,
        sizes={"bands": 8, "full_scale": FULL_SCALE},
        params=104_360,
        published="104 k, 8 bands",
        flops=246_678,
        reach=25,
        tuned_when_frozen=("head",),
        paper="Masi et al. 2016, doi:10.3390/rs8070594",
    ),
    ModelEntry(
        name="pannet",
        family="cnn",
        build=PanNet,
        sizes={"bands": 8, "width": 32, "blocks": 4, "full_scale": FULL_SCALE},
        params=83_024,
        published="78-83 k, 8 bands",
        flops=157_940,
        reach=23,
        tuned_when_frozen=("head", "enlarge"),
        paper="Yang et al. 2017, doi:10.1109/ICCV.2017.193",
    ),
    ModelEntry(
        name="msdcnn",
        family="cnn",
        build=MSDCNN,
        sizes={"bands": 8, "full_scale": FULL_SCALE},
        params=228_556,
        published="229 k, 8 bands",
        flops=456_708,
        reach=29,
        tuned_when_frozen=("deep_head", "shallow_head"),
        paper="Yuan et al. 2018, doi:10.1109/JSTARS.2018.2794888",
    ),
    ModelEntry(
        name="fusionnet",
        family="cnn",
        build=FusionNet,
        sizes={"bands": 8, "width": 32, "blocks": 4, "full_scale": FULL_SCALE},
        params=78_632,
        published="76-79 k, 4 and 8 bands",
        flops=156_852,
        reach=27,
        tuned_when_frozen=("head",),
        paper="Deng et al. 2021, doi:10.1109/TGRS.2020.3031366",
    ),
    ModelEntry(
        name="lagconv",
        family="cnn",
        build=LAGConvNet,
        sizes={"bands": 8, "width": 32, "blocks": 5, "full_scale": FULL_SCALE},
        params=151_397,
        published="54-150 k, 8 bands",
        flops=256_673,
        reach=None,  # its biases see the image's mean
        tuned_when_frozen=("head",),
        paper="Jin et al. 2022, doi:10.1609/aaai.v36i1.19996",
    ),
    ModelEntry(
        name="panformer",
        family="transformer",
        build=PanFormer,
        sizes={"bands": 4, "width": 64, "heads": 8, "rounds": 3, "full_scale": FULL_SCALE},
        params=1_525_144,
        published="1.5303 M, 4 bands",
        flops=364_282,
        multiple_of=16,
        reach=95,
        tuned_when_frozen=("head", *_NORMS_OF_PANFORMER),
        paper="Zhou et al. 2022, doi:10.48550/arXiv.2203.02916",
    ),
    ModelEntry(
        name="swinir",
        family="transformer",
        build=SwinIR,
        sizes={
            "bands": 4,
            "width": 60,
            "heads": 6,
            "groups": 4,
            "layers": 6,
            "full_scale": FULL_SCALE,
        },
        params=947_464,
        published="897 k, RGB without a PAN",
        flops=135_450,
        multiple_of=32,
        reach=415,
        tuned_when_frozen=("head", "norm", *_NORMS_OF_SWINIR),
        paper="Liang et al. 2021, doi:10.1109/ICCVW54120.2021.00210",
    ),
    ModelEntry(
        name="panmamba",
        family="mamba",
        build=PanMamba,
        sizes={
            "bands": 4,
            "width": 32,
            "alone": 8,
            "swaps": 2,
            "crossings": 5,
            "full_scale": FULL_SCALE,
        },
        params=461_804,
        published="480 k, 4 bands",
        flops=905_178,
        reach=None,  # scans, and means of the image
        tuned_when_frozen=("head", *_NORMS_OF_PANMAMBA),
        paper="He et al. 2025, doi:10.1016/j.inffus.2024.102779; arXiv:2402.12192",
    ),
    ModelEntry(
        name="fusionmamba",
        family="mamba",
        build=FusionMamba,
        sizes={"bands": 8, "width": 32, "full_scale": FULL_SCALE},
        params=769_864,
        flops=403_316,
        multiple_of=4,
        reach=None,  # scans
        tuned_when_frozen=("head", *_NORMS_OF_FUSIONMAMBA),
        paper="Peng et al. 2024, doi:10.1109/TGRS.2024.3496073; arXiv:2404.07932",
    ),
    ModelEntry(
        name="gppnn",
        family="unfolding",
        build=GPPNN,
        sizes={"bands": 4, "width": 64, "layers": 8, "full_scale": FULL_SCALE},
        params=119_808,
        published="120 k, 4 bands",
        flops=171_306,
        reach=239,
        tuned_when_frozen=("layers.7.",),
        paper="Xu et al. 2021, doi:10.1109/CVPR46437.2021.00142",
    ),
)
MODELS = {entry.name: entry for entry in _ENTRIES}
DEFAULT = "anyband"


def find_model(name: str) -> ModelEntry:
    """Raises UnknownModel, naming what exists."""
    if name not in MODELS:
        raise UnknownModel(f"no model {name!r}; have: {', '.join(MODELS)} ({__name__})")
    return MODELS[name]


def build_model(name: str, **sizes: int) -> nn.Module:
    """Raises UnknownModel; TypeError on a misspelt size."""
    return find_model(name).build(**sizes)

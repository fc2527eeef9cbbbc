"""Registry entries of the published networks."""

from fusiontrain.models.model_entry import ModelEntry
from fusiontrain.models.published.base import FULL_SCALE
from fusiontrain.models.published.fusionmamba import FusionMamba
from fusiontrain.models.published.fusionnet import FusionNet
from fusiontrain.models.published.gppnn import GPPNN
from fusiontrain.models.published.lagconv import LAGConvNet
from fusiontrain.models.published.msdcnn import MSDCNN
from fusiontrain.models.published.panformer import PanFormer
from fusiontrain.models.published.panmamba import PanMamba
from fusiontrain.models.published.pannet import PanNet
from fusiontrain.models.published.pnn import PNN
from fusiontrain.models.published.swinir import SwinIR

_STREAMS = (("pan", 2), ("ms", 2), ("pan_rounds", 3), ("ms_rounds", 3))
_NORMS_OF_PANFORMER = tuple(
    f"{stream}.{i}.{layer}.{norm}."
    for stream, count in _STREAMS
    for i in range(count)
    for layer in ("plain", "shifted")
    for norm in ("norm", "second.0")
)


def _norms_of_swinir(groups: int, layers: int) -> tuple[str, ...]:
    return tuple(
        f"groups.{group}.layers.{layer}.{norm}."
        for group in range(groups)
        for layer in range(layers)
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

PUBLISHED_ENTRIES = (
    ModelEntry(
        name="pnn",
        family="cnn",
        build=PNN,
        sizes={"bands": 8, "full_scale": FULL_SCALE},
        params=104_360,
        published="104 k, 8 bands",
        flops=246_678,
        reach=25,
        freeze_tuning_prefixes=("head",),
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
        freeze_tuning_prefixes=("head", "enlarge"),
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
        freeze_tuning_prefixes=("deep_head", "shallow_head"),
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
        freeze_tuning_prefixes=("head",),
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
        reach=None,  # its biases depend on the image's mean
        freeze_tuning_prefixes=("head",),
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
        freeze_tuning_prefixes=("head", *_NORMS_OF_PANFORMER),
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
        freeze_tuning_prefixes=("head", "norm", *_norms_of_swinir(4, 6)),
        paper="Liang et al. 2021, doi:10.1109/ICCVW54120.2021.00210",
    ),
    ModelEntry(
        name="swinir-small",
        family="transformer",
        build=SwinIR,
        sizes={
            "bands": 4,
            "width": 32,
            "heads": 4,
            "groups": 2,
            "layers": 4,
            "full_scale": FULL_SCALE,
        },
        params=127_712,
        published="none: swinir, smaller",
        flops=19_008,
        multiple_of=32,
        reach=159,
        freeze_tuning_prefixes=("head", "norm", *_norms_of_swinir(2, 4)),
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
        freeze_tuning_prefixes=("head", *_NORMS_OF_PANMAMBA),
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
        freeze_tuning_prefixes=("head", *_NORMS_OF_FUSIONMAMBA),
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
        freeze_tuning_prefixes=("layers.7.",),
        paper="Xu et al. 2021, doi:10.1109/CVPR46437.2021.00142",
    ),
)

"""Registry entries of the any-band networks."""

from dataclasses import replace

from fusiontrain.models.anyband.default_network import (
    AnyBand,
    AnyBandScene,
    AnyBandSensor,
)
from fusiontrain.models.anyband.fusionmamba import AnyBandFusionMamba
from fusiontrain.models.anyband.gppnn import AnyBandGPPNN
from fusiontrain.models.anyband.lagconv import AnyBandLAGConv
from fusiontrain.models.anyband.panformer import AnyBandPanFormer
from fusiontrain.models.anyband.panmamba import AnyBandPanMamba
from fusiontrain.models.anyband.pannet import AnyBandPanNet
from fusiontrain.models.anyband.restormer import AnyBandRestormer
from fusiontrain.models.model_entry import ModelEntry

_PARTS_OF_PANMAMBA = (("alone", 0), ("swaps", 0), ("crossings", 0), ("crossings", 1))

_ANYBAND = ModelEntry(
    name="anyband",
    family="cnn",
    build=AnyBand,
    sizes={"width": 32, "blocks": 4},
    params=96_245,
    flops=43_128,
    multiple_of=4,
    reach=120,
    freeze_tuning_prefixes=(
        "head",
        "trust",
        "condition",
        *(f"blocks.{i}.film" for i in range(4)),
    ),
    paper="panprior's own; injection of Vivone et al. 2018, doi:10.1109/TIP.2018.2819501",
)

# Freeze-tuning trains the last layer and FiLM, the scales of these networks.
ANY_BAND_ENTRIES = (
    _ANYBAND,
    replace(
        _ANYBAND,
        name="anyband-scene",
        build=AnyBandScene,
        flops=43_419,
        reach=164,
        continues="anyband",
        paper="panprior's own: anyband, and the MS's colours restored at the end",
    ),
    replace(
        _ANYBAND,
        name="anyband-sensor",
        build=AnyBandSensor,
        sizes={"width": 48, "blocks": 4},
        params=202_565,
        flops=92_440,
        reach=152,
        continues="anyband",
        paper="panprior's own: anyband, wider, and a step towards the MS at the end",
    ),
    ModelEntry(
        name="anyband-small",
        family="cnn",
        build=AnyBand,
        sizes={"width": 24, "blocks": 2},
        params=32_477,
        flops=15_102,
        multiple_of=4,
        reach=104,
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            *(f"blocks.{i}.film" for i in range(2)),
        ),
        paper="panprior's own: anyband, narrower and half as deep",
    ),
    ModelEntry(
        name="anyband-pannet",
        family="cnn",
        build=AnyBandPanNet,
        sizes={"width": 32, "blocks": 4},
        params=96_245,
        flops=43_128,
        multiple_of=4,
        reach=120,
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            *(f"blocks.{i}.film" for i in range(4)),
        ),
        paper="after Yang et al. 2017, doi:10.1109/ICCV.2017.193; FusionNet, see its row",
    ),
    ModelEntry(
        name="anyband-lagconv",
        family="cnn",
        build=AnyBandLAGConv,
        sizes={"width": 32, "blocks": 4},
        params=118_493,
        flops=54_144,
        multiple_of=4,
        reach=120,
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            *(f"blocks.{i}.film" for i in range(4)),
        ),
        paper="after Jin et al. 2022, doi:10.1609/aaai.v36i1.19996",
    ),
    ModelEntry(
        name="anyband-panformer",
        family="transformer",
        build=AnyBandPanFormer,
        sizes={"width": 40, "heads": 4, "rounds": 3},
        params=133_949,
        flops=39_588,
        multiple_of=4,
        reach=120,
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            "film",
            *(f"rounds.{i}.film" for i in range(3)),
        ),
        paper="after Zhou et al. 2022, doi:10.48550/arXiv.2203.02916",
    ),
    ModelEntry(
        name="anyband-restormer",
        family="transformer",
        build=AnyBandRestormer,
        sizes={"width": 40, "heads": 2, "blocks": 4},
        params=99_741,
        flops=44_588,
        multiple_of=4,
        reach=120,
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            *(f"blocks.{i}.film" for i in range(4)),
        ),
        paper="after Zamir et al. 2022, doi:10.1109/CVPR52688.2022.00564",
    ),
    ModelEntry(
        name="anyband-panmamba",
        family="mamba",
        build=AnyBandPanMamba,
        sizes={"width": 32, "alone": 1, "swaps": 1, "crossings": 2},
        params=122_213,
        flops=49_388,
        multiple_of=4,
        reach=124,  # farther contributions of the scans are below 1e-8
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            *(f"{part}.{i}.film" for part, i in _PARTS_OF_PANMAMBA),
        ),
        paper="after He et al. 2025, doi:10.1016/j.inffus.2024.102779; arXiv:2402.12192",
    ),
    ModelEntry(
        name="anyband-fusionmamba",
        family="mamba",
        build=AnyBandFusionMamba,
        sizes={"width": 32, "stages": 2},
        params=116_117,
        flops=42_300,
        multiple_of=4,
        reach=128,  # farther contributions of the scans are below 1e-8
        freeze_tuning_prefixes=(
            "head",
            "trust",
            "condition",
            *(f"stages.{i}.film" for i in range(2)),
        ),
        paper="after Peng et al. 2024, doi:10.1109/TGRS.2024.3496073; arXiv:2404.07932",
    ),
    ModelEntry(
        name="anyband-gppnn",
        family="unfolding",
        build=AnyBandGPPNN,
        sizes={"width": 32, "layers": 4},
        params=108_773,
        flops=45_896,
        multiple_of=4,
        reach=224,
        freeze_tuning_prefixes=("layers.3.", "trust", "condition"),
        paper="after Xu et al. 2021, doi:10.1109/CVPR46437.2021.00142",
    ),
)

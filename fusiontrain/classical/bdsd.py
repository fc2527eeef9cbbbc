"""BDSD and BDSD-PC. Fused: (B, C, H, W) DN."""

import torch
from torch import Tensor

from fusiontrain.classical.images import MethodInputs, combine
from fusiontrain.classical.statistics import SceneStatistics, nonnegative_least_squares


def bdsd(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Band-dependent spatial detail, one global block.

    Weights: those that restore the MS one level down from its bands and PAN.
    Source: Garzelli, Nencini and Capobianco 2008, IEEE TGRS 46(1):228-236.
    """
    C = f.bands
    moments = statistics.moments("level down")
    weights = moments.regress(range(C), range(C, 2 * C + 1), constant=False)
    return f.up + combine(weights, torch.cat([f.up, f.pan], 1))


def bdsd_pc(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """BDSD with physical constraints: PAN's weight at least zero, the bands' at most.

    Source: Vivone 2019, IEEE TGRS 57(9):6421-6433.
    """
    C = f.bands
    products = statistics.moments("level down").second.cpu()
    # Signs that make every weight non-negative.
    sign = products.new_tensor([-1.0] * C + [1.0])
    weights = []
    for product in products:
        normal = product[C:, C:] * sign[:, None] * sign
        right = product[C:, :C] * sign[:, None]
        solved = [nonnegative_least_squares(normal, right[:, band]) for band in range(C)]
        weights.append(torch.stack(solved, 1) * sign[:, None])
    return f.up + combine(torch.stack(weights).to(f.up), torch.cat([f.up, f.pan], 1))

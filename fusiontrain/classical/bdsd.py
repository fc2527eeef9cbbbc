"""BDSD and BDSD-PC. (Frame, Known) -> (B, C, H, W) DN."""

import torch
from torch import Tensor

from fusiontrain.classical.images import MethodInputs, SceneStatistics, combine
from fusiontrain.classical.statistics import nonnegative_least_squares


def bdsd(f: MethodInputs, known: SceneStatistics) -> Tensor:
    """Band-dependent spatial detail, one global block.

    The weights that restore the MS one level down, from its bands and PAN, are used here.
    Source: Garzelli, Nencini and Capobianco 2008, IEEE TGRS 46(1):228-236.
    """
    C = f.bands
    seen = known.moments("level down")
    weights = seen.regress(range(C), range(C, 2 * C + 1), constant=False)
    return f.up + combine(weights, torch.cat([f.up, f.pan], 1))


def bdsd_pc(f: MethodInputs, known: SceneStatistics) -> Tensor:
    """BDSD with physical constraints: PAN's weight at least zero, the bands' at most.

    Source: Vivone 2019, IEEE TGRS 57(9):6421-6433.
    """
    C = f.bands
    table = known.moments("level down").second.cpu()
    # The signs that make every wanted weight a positive one.
    sign = table.new_tensor([-1.0] * C + [1.0])
    weights = []
    for seen in table:
        normal = seen[C:, C:] * sign[:, None] * sign
        right = seen[C:, :C] * sign[:, None]
        solved = [nonnegative_least_squares(normal, right[:, band]) for band in range(C)]
        weights.append(torch.stack(solved, 1) * sign[:, None])
    return f.up + combine(torch.stack(weights).to(f.up), torch.cat([f.up, f.pan], 1))

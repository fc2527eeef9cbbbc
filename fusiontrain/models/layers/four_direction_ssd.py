"""Mamba-2's mixer on images: each head scans in a direction of its own, and forgets.

Source of the scan: Dao and Gu 2024 (arXiv:2405.21060), in ssd.py; of four directions, Liu et
al. 2024 (VMamba, arXiv:2401.10166). Heads share the directions among them: along the rows,
backwards, down the columns, up. Each row and each column is a sequence of its own, so many
short ones run side by side. Apart from what it learns, a state keeps at most exp(-LEAST) of
itself a token: what lies some dozens of tokens away is gone, and a window of a scene fuses
as the scene does.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.layers.replicate_conv import ReplicateConv2d
from fusiontrain.models.layers.ssd import ssd

DIRECTIONS = 4
LEAST = 0.5  # forgetting a token, in nepers
_STEPS = (1e-2, 0.5)


class FourDirectionSSD(nn.Module):
    """(S, width, H, W) -> the same; `context` of the same shape, if any, steers the scan."""

    def __init__(
        self, width: int, *, states: int = 8, expand: int = 2, context: bool = False
    ) -> None:
        super().__init__()
        inner = width * expand
        self.states = states
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.near = ReplicateConv2d(inner, inner, groups=inner)
        self.norm_context = nn.LayerNorm(width) if context else None
        told = width if context else inner
        self.select = nn.Linear(told, DIRECTIONS * (2 * states + 1))
        self.log_rate = nn.Parameter(torch.zeros(DIRECTIONS))
        self.skip = nn.Parameter(torch.ones(inner))
        self.norm_last = nn.LayerNorm(inner)
        self.leave = nn.Linear(inner, width, bias=False)
        with torch.no_grad():
            low, high = map(math.log, _STEPS)
            steps = torch.exp(torch.linspace(low, high, DIRECTIONS))
            self.select.bias[-DIRECTIONS:].copy_(torch.log(torch.expm1(steps)))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x, gate = self.enter(self.norm(x.permute(0, 2, 3, 1))).chunk(2, -1)
        x = F.silu(self.near(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        told = x
        if self.norm_context is not None and context is not None:
            told = self.norm_context(context.permute(0, 2, 3, 1))
        y = self._scan(x, self.select(told)) + self.skip * x
        y = self.leave(self.norm_last(y * F.silu(gate)))
        return y.permute(0, 3, 1, 2)

    def _scan(self, x: Tensor, selected: Tensor) -> Tensor:
        """(S, H, W, inner): every direction's features, scanned its way."""
        S, H, W, inner = x.shape
        # Steps and decays in full precision: bf16 has three digits, and products of many fail.
        with torch.autocast(x.device.type, enabled=False):
            selected = selected.to(self.skip.dtype)
            ways, dt = selected.tensor_split([2 * DIRECTIONS * self.states], -1)
            dt = F.softplus(dt)
            decay = -(LEAST + dt * torch.exp(self.log_rate))
            x = x.to(dt).reshape(S, H, W, DIRECTIONS, -1) * dt[..., None]
            ways = ways.reshape(S, H, W, DIRECTIONS, -1)
            given = torch.cat([x, ways, decay[..., None]], -1)
            across = self._both(given[..., :2, :])
            down = self._both(given[..., 2:, :].transpose(1, 2)).transpose(1, 2)
        return torch.cat([across, down], -2).reshape(S, H, W, inner)

    def _both(self, given: Tensor) -> Tensor:
        """(S, lines, L, 2, ...): the first way as it lies, the second backwards."""
        S, lines, L = given.shape[:3]
        turned = torch.stack([given[..., 0, :], given[..., 1, :].flip(2)])
        turned = turned.reshape(2 * S * lines, L, -1)
        ends = [-2 * self.states - 1, -self.states - 1, -1]
        x, B, C, decay = turned.tensor_split(ends, -1)
        y = ssd(x[:, :, None], decay, B, C).reshape(2, S, lines, L, -1)
        return torch.stack([y[0], y[1].flip(2)], -2)

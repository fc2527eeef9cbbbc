"""Four-direction SSD: Mamba-2's mixer on images, one scan direction per head.

Directions: along the rows, backwards, down the columns, up. Each row and each column is a sequence
of its own; many short sequences run in parallel. A state decays at least by exp(-MIN_DECAY) per
token, so that the receptive field is bounded and a window is fused like the whole scene.
Sources: the scan, Dao and Gu 2024 (arXiv:2405.21060), in ssd.py; four directions, Liu et al. 2024
(VMamba, arXiv:2401.10166).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d
from fusiontrain.models.layers.ssd import ssd

DIRECTIONS = 4
MIN_DECAY = 0.5  # nepers per token
_STEPS = (1e-2, 0.5)  # range of initial step sizes


class FourDirectionSSD(nn.Module):
    """(S, width, H, W) -> (S, width, H, W); a `context` of that shape selects dt, B and C."""

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
        self.select = nn.Linear(width if context else inner, DIRECTIONS * (2 * states + 1))
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
        selector = x
        if self.norm_context is not None and context is not None:
            selector = self.norm_context(context.permute(0, 2, 3, 1))
        y = self._scan(x, self.select(selector)) + self.skip * x
        y = self.leave(self.norm_last(y * F.silu(gate)))
        return y.permute(0, 3, 1, 2)

    def _scan(self, x: Tensor, selected: Tensor) -> Tensor:
        """(S, H, W, inner): each direction's share of the features, scanned in that direction."""
        S, H, W, inner = x.shape
        # Full precision: products of many decays are inaccurate in bfloat16.
        with full_precision(x.device):
            selected = selected.to(self.skip.dtype)
            coefficients, dt = selected.tensor_split([2 * DIRECTIONS * self.states], -1)
            dt = F.softplus(dt)
            decay = -(MIN_DECAY + dt * torch.exp(self.log_rate))
            x = x.to(dt).reshape(S, H, W, DIRECTIONS, -1) * dt[..., None]
            coefficients = coefficients.reshape(S, H, W, DIRECTIONS, -1)
            tokens = torch.cat([x, coefficients, decay[..., None]], -1)
            across = self._scan_both_ways(tokens[..., :2, :])
            down = self._scan_both_ways(tokens[..., 2:, :].transpose(1, 2)).transpose(1, 2)
        return torch.cat([across, down], -2).reshape(S, H, W, inner)

    def _scan_both_ways(self, tokens: Tensor) -> Tensor:
        """(S, lines, L, 2, ...): the first direction forwards, the second backwards."""
        S, lines, L = tokens.shape[:3]
        ordered = torch.stack([tokens[..., 0, :], tokens[..., 1, :].flip(2)])
        ordered = ordered.reshape(2 * S * lines, L, -1)
        ends = [-2 * self.states - 1, -self.states - 1, -1]
        x, B, C, decay = ordered.tensor_split(ends, -1)
        y = ssd(x[:, :, None], decay, B, C).reshape(2, S, lines, L, -1)
        return torch.stack([y[0], y[1].flip(2)], -2)

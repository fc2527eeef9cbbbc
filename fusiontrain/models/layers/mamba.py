"""The Mamba block for image fusion: several scan directions, and a second image as context.

Source: Gu and Dao 2023, arXiv:2312.00752, figure 3. Initial values are the paper's too: decays
of 1..N, steps log-uniform in 0.001..0.1. A context, as in Pan-Mamba and FusionMamba, selects
dt, B and C in place of the image itself.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.layers.selective_scan import selective_scan

_TAPS = 4  # of the causal convolution before the scan
_STEPS = (1e-3, 0.1)


class Mamba(nn.Module):
    """(B, H * W, width) tokens, row by row -> (B, H * W, width).

    Directions: 1 along the rows; 2 also backwards; 4 also along the columns, both ways.
    """

    def __init__(
        self,
        width: int,
        *,
        states: int,
        expand: int,
        directions: int = 1,
        context: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        inner = width * expand
        self.enter = nn.Linear(width, 2 * inner, bias=False)
        self.enter_context = nn.Linear(width, inner, bias=False) if context else None
        self.scans = nn.ModuleList(
            Scan(inner, states=states, rank=math.ceil(width / 16)) for _ in range(directions)
        )
        self.norm = nn.LayerNorm(inner) if norm else nn.Identity()
        self.leave = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, shape: tuple[int, int], context: Tensor | None = None) -> Tensor:
        x, gate = self.enter(x).chunk(2, -1)
        selector = None
        if self.enter_context is not None and context is not None:
            selector = self.enter_context(context)
        y = torch.zeros_like(x)
        for number, scan in enumerate(self.scans):
            ordered = None if selector is None else _to_direction(selector, shape, number)
            scanned = scan(_to_direction(x, shape, number), ordered)
            y = y + _from_direction(scanned, shape, number)
        y = y / len(self.scans) * F.silu(gate)
        return self.leave(self.norm(y))


class Scan(nn.Module):
    """One direction: a short causal convolution, then the selective scan."""

    def __init__(self, inner: int, *, states: int, rank: int) -> None:
        super().__init__()
        self.rank, self.states = rank, states
        self.near = nn.Conv1d(inner, inner, _TAPS, groups=inner)
        self.select = nn.Linear(inner, rank + 2 * states, bias=False)
        self.step = nn.Linear(rank, inner)
        self.log_decay = nn.Parameter(
            torch.log(torch.arange(1, states + 1, dtype=torch.get_default_dtype())).repeat(inner, 1)
        )
        self.skip = nn.Parameter(torch.ones(inner))
        nn.init.uniform_(self.step.weight, -(rank**-0.5), rank**-0.5)
        with torch.no_grad():
            low, high = map(math.log, _STEPS)
            steps = torch.exp(torch.rand(inner) * (high - low) + low)
            self.step.bias.copy_(torch.log(torch.expm1(steps)))  # inverse of softplus

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        x = F.silu(self.near(F.pad(x.transpose(1, 2), (_TAPS - 1, 0))).transpose(1, 2))
        selected = self.select(x if context is None else context)
        dt, B, C = selected.split([self.rank, self.states, self.states], -1)
        dt = F.softplus(self.step(dt))
        return selective_scan(x, dt, -torch.exp(self.log_decay), B, C, self.skip)


def _to_direction(tokens: Tensor, shape: tuple[int, int], number: int) -> Tensor:
    """Tokens in the order of a direction: rows, rows backwards, columns, columns backwards."""
    if number >= 2:
        tokens = _transposed(tokens, shape)
    return tokens.flip(1) if number % 2 else tokens


def _from_direction(tokens: Tensor, shape: tuple[int, int], number: int) -> Tensor:
    """Inverse of `_to_direction`."""
    tokens = tokens.flip(1) if number % 2 else tokens
    if number >= 2:
        tokens = _transposed(tokens, (shape[1], shape[0]))
    return tokens


def _transposed(tokens: Tensor, shape: tuple[int, int]) -> Tensor:
    """Tokens of an image of `shape`, column by column."""
    image = tokens.reshape(tokens.shape[0], *shape, tokens.shape[-1])
    return image.transpose(1, 2).flatten(1, 2)

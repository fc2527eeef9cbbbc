"""Random inputs of the scans, with gradients."""

import torch


def selective_scan_inputs(tokens=50, batch=2, features=3, states=4, dtype=torch.float64, decay=1.0):
    rng = torch.Generator().manual_seed(7)

    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=dtype)

    x, B, C = (
        draw(batch, tokens, features),
        draw(batch, tokens, states),
        draw(batch, tokens, states),
    )
    dt = torch.nn.functional.softplus(draw(batch, tokens, features) - 1)
    A = -decay * torch.arange(1, states + 1, dtype=dtype).repeat(features, 1)
    tensors = (x, dt, A, B, C, draw(features))
    return tuple(tensor.requires_grad_(True) for tensor in tensors)


def ssd_inputs(tokens=50, sequences=2, heads=3, features=4, states=5, dtype=torch.float64):
    rng = torch.Generator().manual_seed(11)

    def draw(*shape):
        return torch.randn(*shape, generator=rng, dtype=dtype)

    decay = -torch.nn.functional.softplus(draw(sequences, tokens, heads))
    coefficients = (draw(sequences, tokens, states), draw(sequences, tokens, states))
    tensors = (draw(sequences, tokens, heads, features), decay, *coefficients)
    return tuple(tensor.detach().requires_grad_(True) for tensor in tensors)

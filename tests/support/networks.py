"""Small networks, their checkpoints, and random batches for them."""

import torch

from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.models.registry import build_model

SMALL = {
    "gppnn": {"width": 8, "layers": 2},
    "panformer": {"width": 8, "heads": 2, "rounds": 1},
    "swinir": {"width": 12, "heads": 2, "groups": 1, "layers": 2},
    "swinir-small": {"width": 12, "heads": 2, "groups": 1, "layers": 2},
    "panmamba": {"width": 8, "alone": 1, "swaps": 1, "crossings": 1},
    "fusionmamba": {"width": 8},
}


def small(name: str, bands: int = 4, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build_model(name, bands=bands, **SMALL.get(name, {}))


def batch_of(bands=4, h=8, w=10, ratio=4, dtype=torch.float32, size=1) -> PanBatch:
    rng = torch.Generator().manual_seed(3)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=rng, dtype=dtype) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=rng, dtype=dtype) * 700 + 80
    gains = torch.full((size, bands), 0.3, dtype=dtype)
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=gains, softness=gains)


def random_network(model="anyband", *, seed=3, std=0.05, **sizes) -> torch.nn.Module:
    """An any-band network whose correction is not zero, of moderate size."""
    torch.manual_seed(seed)
    net = build_model(model, **sizes)
    torch.nn.init.normal_(net.head.weight, std=std)
    return net.eval()


def save_network(path, net, model="anyband", **sizes):
    """Its checkpoint; returns the path."""
    save_checkpoint(path, net, CheckpointInfo(model=model, sizes=sizes, training={}))
    return path

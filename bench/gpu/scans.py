"""mamba-ssm's kernels against the plain scans, at several lengths and at the grid's limit."""

from pathlib import Path
from typing import Any

from bench.gpu.plan import Setting, Skip, claim, need_device

SELECTIVE, SSD = 1e-4, 1e-2  # of the largest value; Triton multiplies float32 in TF32
_LIMIT = 65_536  # sequences * chunks, one more than a grid has


def kernels(setting: Setting, folder: Path) -> dict[str, Any]:  # noqa: ARG001
    need_device(setting)
    import torch

    from fusiontrain.models.layers import selective_scan as selective
    from fusiontrain.models.layers import ssd

    def draw(*shape: int) -> Any:
        return torch.randn(*shape, device=setting.device)

    def error(one: Any, other: Any) -> float:
        return float((one - other).abs().max() / other.abs().max())

    torch.manual_seed(0)
    facts: dict[str, Any] = {"selective": {}, "ssd": {}}
    on_gpu = setting.device == "cuda"
    for module in (selective, ssd) if on_gpu else ():
        if selective.mamba_ssm_kernel(*module._KERNEL) is None:
            raise Skip("mamba-ssm is not installed, or was built for another torch")
    with torch.no_grad():
        for tokens in setting.lengths:
            x, B, C = draw(2, tokens, 32), draw(2, tokens, 8), draw(2, tokens, 8)
            A, D = -torch.rand(32, 8, device=setting.device) - 0.1, draw(32)
            dt = torch.rand(2, tokens, 32, device=setting.device)
            plain = selective.selective_scan(*(t.double() for t in (x, dt, A, B, C, D)))
            facts["selective"][tokens] = error(selective.selective_scan(x, dt, A, B, C, D), plain)
            x, decay = draw(2, tokens, 2, 16), -torch.rand(2, tokens, 2, device=setting.device)
            plain = ssd.ssd(*(t.double() for t in (x, decay, B, C)))
            facts["ssd"][tokens] = error(ssd.ssd(x, decay, B, C), plain)
        if on_gpu:
            few = (draw(4, 1024, 1, 16), -torch.rand(4, 1024, 1, device="cuda"))
            few = (*few, draw(4, 1024, 8), draw(4, 1024, 8))
            many = [t.repeat(_LIMIT // 64, *[1] * (t.ndim - 1)) for t in few]
            facts["ssd"]["beyond the grid"] = error(ssd.ssd(*many)[-4:], ssd.ssd(*few))
    claim(max(facts["selective"].values()) <= SELECTIVE, "selective scan differs", facts)
    claim(max(facts["ssd"].values()) <= SSD, "ssd differs", facts)
    return facts

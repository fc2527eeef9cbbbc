"""Windows through a network on its device: copies beside computing, parts where memory lacks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fusiontrain.errors import SceneError
from fusiontrain.fusion.flip_ensemble import FlipEnsemble
from fusiontrain.fusion.window_loop import MULTIPLE_OF
from fusiontrain.imaging.full_precision import tf32
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.tiling import Box, WindowExtent, grid_step
from fusiontrain.models.anyband.base import AnyBandBase

LEAST_PART = 64  # PAN pixels a side, below which a window is not cut
IN_FLIGHT = {"cpu": 0, "cuda": 1}  # windows that a device computes while the next is prepared


@dataclass(kw_only=True, slots=True)
class DeviceWindows:
    """A network on its device. Windows are halved while they do not fit, and stay so."""

    net: nn.Module
    device: torch.device
    halo: int  # MS pixels
    bf16: bool = False
    part: int | None = None  # MS pixels a side of a part's core; None: whole windows fit

    @property
    def in_flight(self) -> int:
        return IN_FLIGHT.get(self.device.type, 0)

    def start(self, batch: PanBatch, tile: WindowExtent) -> Callable[[], Tensor]:
        """Begin a window, (1, C, h, w) and PAN on the CPU; the result waits for its core's DN.

        Raises: SceneError where not even the smallest part fits the device's memory.
        """
        while True:
            parts = list(self._parts(tile, batch.ratio))
            try:
                waiting = [(part, self._run(batch, tile, part)) for part in parts]
            except torch.OutOfMemoryError:
                waiting = []
            if waiting:
                return lambda: _assembled(waiting, tile, batch)
            self._halve(tile, batch.ratio)

    def _halve(self, tile: WindowExtent, ratio: int) -> None:
        """Smaller parts for this window and those after it."""
        # Out of the handler: its traceback holds the tensors of the try that failed.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        step = grid_step(ratio, MULTIPLE_OF)
        side = self.part or max(tile.core.shape)
        half = -(-side // 2 // step) * step
        if half * ratio < LEAST_PART or half >= side:
            raise SceneError(
                f"`device={self.device}` has too little memory for a window of "
                f"{side * ratio} PAN pixels\n"
                "  do: `device=cpu`, or end the other programs on it"
            )
        self.part = half

    def _parts(self, tile: WindowExtent, ratio: int) -> Iterator[WindowExtent]:
        """The window, or its parts, each with the halo that it reads, inside the window."""
        core, outer = tile.core, tile.padded
        if self.part is None:
            yield tile
            return
        step = grid_step(ratio, MULTIPLE_OF)
        halo = -(-self.halo // step) * step
        for top in range(core.top, core.bottom, self.part):
            for left in range(core.left, core.right, self.part):
                bottom = min(top + self.part, core.bottom)
                right = min(left + self.part, core.right)
                padded = Box(
                    top=max(outer.top, top - halo),
                    left=max(outer.left, left - halo),
                    bottom=min(outer.bottom, bottom + halo),
                    right=min(outer.right, right + halo),
                )
                inner = Box(top=top, left=left, bottom=bottom, right=right)
                yield WindowExtent(core=inner, padded=padded)

    def _run(self, batch: PanBatch, tile: WindowExtent, part: WindowExtent) -> Callable[[], Tensor]:
        """Start one part; the result waits for the DN of its core, on the CPU."""
        ratio = batch.ratio
        if part is not tile:
            down, along = part.padded.inside(tile.padded)
            fine = part.padded.scaled(ratio).inside(tile.padded.scaled(ratio))
            batch = replace(
                batch, ms=batch.ms[..., down, along], pan=batch.pan[..., fine[0], fine[1]]
            )
        rows, columns = part.core.scaled(ratio).inside(part.padded.scaled(ratio))
        batch = _pinned(batch).to(self.device) if self.device.type == "cuda" else batch
        # fuse is exact on every device, but for what `bf16` gives up.
        with (
            tf32(allowed=False),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            if isinstance(self.net, AnyBandBase | FlipEnsemble):
                fused = self.net.forward_part(batch, rows, columns)
            else:
                fused = self.net(batch)[..., rows, columns]
        return _on_host(fused.flatten(0, 1).float())


def _pinned(batch: PanBatch) -> PanBatch:
    """Copies from pageable memory would wait for the device."""
    return replace(batch, ms=batch.ms.pin_memory(), pan=batch.pan.pin_memory())


def _on_host(image: Tensor) -> Callable[[], Tensor]:
    """The image on the CPU: the copy starts now, the result waits for it."""
    if not image.is_cuda:
        return image.cpu
    host = torch.empty(image.shape, dtype=image.dtype, pin_memory=True)
    host.copy_(image, non_blocking=True)
    copied: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()

    def wait() -> Tensor:
        copied.synchronize()
        return host

    return wait


def _assembled(
    waiting: list[tuple[WindowExtent, Callable[[], Tensor]]], tile: WindowExtent, batch: PanBatch
) -> Tensor:
    """(C, H, W) DN of the window's core."""
    if len(waiting) == 1 and waiting[0][0] is tile:
        return waiting[0][1]()
    outer = tile.core.scaled(batch.ratio)
    out = torch.empty(batch.ms.shape[:2].numel(), *outer.shape)
    for part, result in waiting:
        rows, columns = part.core.scaled(batch.ratio).inside(outer)
        out[:, rows, columns] = result()
    return out

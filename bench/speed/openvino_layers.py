"""The default network's layers by OpenVINO on a CPU, in place of row_wise.py's: to measure.

python -m bench.speed.openvino_layers ARGUMENTS    `fusiontrain fuse` with them; half precision is
                                                   not refused
Needs openvino (pip install openvino), which panprior does not use. The graph is built in memory,
for one size and one scene's conditions; its inputs and outputs are channels last.
"""

import sys
from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import torch
from torch import Tensor

from fusiontrain.cli import main
from fusiontrain.fusion import network_fuser
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband import default_network, row_wise
from fusiontrain.models.anyband.default_network import AnyBand
from fusiontrain.models.anyband.input_rows import Cells, make_input_rows
from fusiontrain.models.layers.polyphase import SHUFFLE

_ROWS = 64  # cells that are put together at a time


def _constant(values: Tensor) -> Any:
    return ops.constant(values.detach().float().contiguous().numpy())


def _convolved(x: Any, weight: Tensor, bias: Tensor | None) -> Any:
    """A convolution with a replicated border."""
    assert bias is not None
    border = weight.shape[-1] // 2
    if border:
        sides = ops.constant(np.array([0, 0, border, border]))
        x = ops.pad(x, sides, sides, "edge")
    y = ops.convolution(x, _constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
    return ops.add(y, _constant(bias.reshape(1, -1, 1, 1)))


@torch.inference_mode()
def layers(net: AnyBand, conditions: Tensor, shape: tuple[int, int], *, bf16: bool) -> Any:
    """A request: (1, h, w, width) features of each band -> (1, h, w, P) corrections."""
    bands, width = len(conditions), net.head.in_channels
    inputs = [ops.parameter([1, *shape, width], np.float32) for _ in range(bands)]
    first, last = (ops.constant(np.array(axes)) for axes in ((0, 3, 1, 2), (0, 2, 3, 1)))
    xs = [ops.transpose(one, first) for one in inputs]
    for block in net.blocks:
        weights, biases = row_wise._second_with_film(block, conditions)
        ys = [ops.gelu(_convolved(x, block.first.weight, block.first.bias), "erf") for x in xs]
        total = ys[0]
        for y in ys[1:]:
            total = ops.add(total, y)
        shared = _convolved(total, block.shared.weight / bands, block.shared.bias)
        xs = [
            ops.add(_convolved(ops.add(y, shared), weights[n], biases[n]), xs[n])
            for n, y in enumerate(ys)
        ]
    head = net.head
    outs = [ops.transpose(_convolved(ops.gelu(x, "erf"), head.weight, head.bias), last) for x in xs]
    how = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": False,
    }
    model = ov.Model(outs, inputs, "layers")
    return ov.Core().compile_model(model, "CPU", how).create_infer_request()


def run(request: Any, features: list[np.ndarray]) -> list[Tensor]:
    request.infer(features, share_inputs=True, share_outputs=True)
    return [torch.from_numpy(request.get_output_tensor(n).data)[0] for n in range(len(features))]


_requests: dict[tuple[object, ...], Any] = {}


def fuse_by_rows(net: AnyBand, batch: PanBatch, cells: Cells) -> Tensor:
    """As row_wise.fuse_by_rows."""
    bf16 = torch.is_autocast_enabled("cpu")
    with full_precision(batch.pan.device):
        inputs = make_input_rows(batch)
        conditions = net.condition(inputs.conditions.float())
        B, C = conditions.shape[:2]
        x, start = row_wise._enter(net, inputs, conditions, cells)
        shape = cells.height, cells.width
        key = (shape, bf16, conditions.numpy().tobytes())
        if key not in _requests:
            _requests[key] = layers(net, conditions.flatten(0, 1), shape, bf16=bf16)
        inner = [x.data[n : n + 1, 1:-1, 1:-1].contiguous().numpy() for n in range(B * C)]
        out = torch.empty(B * C, *(side * SHUFFLE for side in shape))
        mean, std = (s.flatten() for s in (inputs.stats.ms_mean, inputs.stats.ms_std))
        for n, correction in enumerate(run(_requests[key], inner)):
            for top in range(0, shape[0], _ROWS):
                rows = slice(top, min(shape[0], top + _ROWS))
                fused = torch.addcmul(mean[n], correction[rows] + start[n, rows], std[n])
                image = out[n, rows.start * SHUFFLE : rows.stop * SHUFFLE]
                row_wise._shuffle(fused, image)
    return out.reshape(B, C, *out.shape[1:])


if __name__ == "__main__":
    default_network.fuse_by_rows = fuse_by_rows
    network_fuser.check_half_precision = lambda *_, **__: None
    sys.exit(main(["fuse", *sys.argv[1:]]))

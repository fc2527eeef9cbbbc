"""MTF-GLP-FS."""

from dataclasses import replace

import torch
from torch import Tensor

from fusiontrain.batch import PanBatch
from fusiontrain.injection import inject, moments, statistics


def mtf_glp_fs(batch: PanBatch) -> Tensor:
    """Generalised Laplacian pyramid with full-scale regression gains.

    Area-aligned decimation, Lanczos interpolation. Source: Vivone, Restaino and Chanussot
    2018, IEEE TIP 27(7):3418-3431.
    """
    crisp = replace(batch, softness=torch.ones_like(batch.softness))
    images = inject(crisp)
    gain = (batch.statistics or statistics(moments(images))).gain
    return images.up + gain[..., None, None] * images.detail

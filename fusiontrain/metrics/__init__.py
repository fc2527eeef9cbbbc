"""Indices of reduced resolution, for tensors (C, H, W) or (N, C, H, W), the truth first."""

from fusiontrain.metrics.hypercomplex import q2n
from fusiontrain.metrics.spatial import scc
from fusiontrain.metrics.spectral import ergas, sam

__all__ = ["ergas", "q2n", "sam", "scc"]

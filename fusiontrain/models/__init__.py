"""Fusion networks: PanBatch in, fused image out. registry.py names them."""

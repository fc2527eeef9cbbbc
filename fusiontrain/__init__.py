"""Shards in, pansharpening networks out; scenes in, fused scenes out."""

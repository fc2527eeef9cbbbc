"""Fusion networks, one paper a file. They see a PanBatch and nothing else."""

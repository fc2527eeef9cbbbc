"""Scenes: a PAN and an MS of the same ground, from files or arrays."""

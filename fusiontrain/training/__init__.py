"""The parts of a training run; loop.py puts them together."""

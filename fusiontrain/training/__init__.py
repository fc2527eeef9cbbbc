"""The parts of a training run; run.py puts them together."""

"""Speed and memory: each module is a command, `python -m bench.speed.NAME` (bench/README.md)."""

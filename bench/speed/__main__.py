"""Every bench in turn, each a process of its own.

python -m bench.speed [--quick]

Exits with 1 where an aim is missed or a bench fails, after all have run. `--quick`: small and
few; proves that the benches run, in under five minutes of a core, which is an aim itself. Aims that
such sizes do not show are left out.
"""

import argparse
import os
import resource
import subprocess
import sys

from bench.speed.aims import Aim, verdict

QUICK_LIMIT = 300  # s of a core, all benches together
FULL = (
    ("indices",),
    ("networks",),
    ("scan",),
    ("reader", "--training", "--record"),
    ("simulation",),
    ("stages",),
    ("commands",),
    ("rivals", "--cog", "--weights", "default-sensor"),
    ("threads",),
    ("whole_scenes", "--slope", "4", "16", "64", "--methods", "gsa", "net"),
)
QUICK = (
    ("indices", "--rounds", "1", "--quick"),
    ("networks", "--quick", "--models", "anyband", "pannet", "fusionnet"),
    ("scan", "--quick"),
    ("reader", "--rounds", "1", "--tiles", "128"),
    ("simulation", "--only", "rivals", "--rounds", "1", "--samples", "8", "--quick"),
    ("stages", "--samples", "8", "--quick"),
    ("commands", "--rounds", "2", "--side", "256", "--quick"),
    ("rivals", "--only", "speed", "--side", "512", "--weights", "default-sensor", "--quick"),
    ("threads", "--side", "512", "--rounds", "1", "--quick"),
    ("whole_scenes", "--slope", "0.25", "--methods", "gsa"),
    ("fuse", "--seam", "300x400", "--windows", "96", "160", "--small"),
    ("every_model", "--models", "pnn", "--steps", "9"),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(argv)
    if args.quick:  # threads of small tensors wait for each other, and the wait counts
        os.environ["OMP_NUM_THREADS"] = "1"
    missed = []
    for name, *flags in QUICK if args.quick else FULL:
        print(f"\n# {name} {' '.join(flags)}", flush=True)
        before = _spent()
        ran = subprocess.run([sys.executable, "-m", f"bench.speed.{name}", *flags], check=False)
        print(f"{name}: {_spent() - before:.0f} s of a core, exit {ran.returncode}", flush=True)
        if ran.returncode:
            missed.append(name)
    print(f"\nload {os.getloadavg()[1]:.1f}; missed or failed: {', '.join(missed) or 'none'}")
    whole = Aim("all together, s of a core", _spent(), QUICK_LIMIT, at_most=True)
    return 1 if verdict([whole] if args.quick else []) or missed else 0


def _spent() -> float:
    """Processor seconds of what has been run so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    raise SystemExit(main())

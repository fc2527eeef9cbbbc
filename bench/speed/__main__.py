"""Every bench in turn, each a process of its own.

python -m bench.speed [--quick]

Exits with 1 where an aim is missed or a bench fails, after all have run. `--quick`: small and
few; proves that the benches run, in some minutes. Aims that such sizes do not show are left out.
"""

import argparse
import subprocess
import sys
import time

FULL = (
    ("indices",),
    ("networks",),
    ("scan",),
    ("reader", "--training", "--record"),
    ("simulation",),
    ("stages",),
    ("commands",),
    ("rivals", "--cog", "--weights", "default-sensor"),
    ("whole_scenes", "--slope", "4", "16", "64", "--methods", "gsa", "net"),
)
QUICK = (
    ("indices", "--rounds", "1", "--quick"),
    ("networks", "--quick", "--models", "anyband", "pannet", "fusionnet"),
    ("scan", "--quick"),
    ("reader", "--rounds", "1", "--tiles", "128"),
    ("simulation", "--only", "rivals", "--rounds", "1", "--samples", "8", "--quick"),
    ("stages", "--samples", "8", "--quick"),
    ("commands", "--rounds", "1", "--side", "256", "--quick"),
    ("rivals", "--only", "speed", "--side", "512", "--weights", "default-sensor", "--quick"),
    ("whole_scenes", "--slope", "0.25", "--methods", "gsa"),
    ("fuse", "--seam", "300x400", "--small"),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args(argv)
    missed = []
    for name, *flags in QUICK if args.quick else FULL:
        print(f"\n# {name} {' '.join(flags)}", flush=True)
        begun = time.monotonic()
        ran = subprocess.run([sys.executable, "-m", f"bench.speed.{name}", *flags], check=False)
        print(f"{name}: {time.monotonic() - begun:.0f} s, exit {ran.returncode}", flush=True)
        if ran.returncode:
            missed.append(name)
    print(f"\nmissed or failed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())

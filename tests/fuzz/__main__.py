"""Damaged inputs by the thousand: python -m tests.fuzz [--cases 20000] [--case N].

A case is its number: files of tests/fuzz/seeds.py, damaged as random numbers of that seed say, and
the command that gets them. Right is exit code 0 with a whole output, or 2 with a line and none.
Never right: a traceback, a crash, a hang, an open or a connection outside what was given.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz.run import run_cases, show_case


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="how many (default: 20000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--case", type=int, help="run this one alone, and keep its files")
    parser.add_argument(
        "--keep", type=Path, default=Path("runs/fuzz"), help="where --case puts them"
    )
    parser.add_argument("--log", type=Path, help="a line of JSON for each case")
    args = parser.parse_args()
    if args.case is not None:
        print(json.dumps(show_case(args.case, args.keep), indent=1))
        return 0
    log = args.log.open("w", buffering=1) if args.log else None
    began, seconds = time.monotonic(), 0.0

    def tell(result: dict[str, Any]) -> None:
        nonlocal seconds
        seconds += result.get("seconds", 0)
        if log:
            print(json.dumps(result), file=log)
        if result["faults"]:
            print(
                f"case {result['number']} ({result['kind']}): {'; '.join(result['faults'])}"[:600],
                flush=True,
            )
        if (result["number"] + 1) % 1000 == 0:
            print(f"{result['number'] + 1} cases, {seconds:.0f} s of them on a core", flush=True)

    tally = run_cases(args.first, args.first + args.cases, tell=tell)
    print(tally)
    print(
        f"{time.monotonic() - began:.0f} s in all, {seconds:.0f} s of processor time in the cases"
    )
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Cases under strace: what the whole process opens, GDAL's C code and threads included.

python -m tests.fuzz.tracing [--cases 500]: needs strace, and the right to trace.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.kinds import kind_of
from tests.fuzz.watch import DEVICES, SYSTEM
from tests.support.paths import ROOT

MARK = "/panprior-fuzz-case-"  # that the worker tries to open before each case
_OPEN = re.compile(
    r'open(?:at|at2)?\((?:AT_FDCWD|\d+)?,? ?"((?:[^"\\]|\\.)*)",? ?(.*?)\)? = (-?\d+)'
)
_CONNECT = re.compile(r"connect\(\d+, \{sa_family=AF_INET6?, (.*?)\}")
_OWN = ("/etc/localtime", "/etc/ld.so.cache")  # Python's clock and the loader of libraries
# What Python reads to see whether a VRT may name it.
_LOOKED_AT = ("/canary/words.txt", "/canary/raster.tif", "/canary/named.vrt", "/etc/passwd")


def outside(lines: Iterable[str], folder: Path) -> list[str]:
    """The opens, connections and programs of the cases that lie outside of what they were given."""
    found, case = [], None
    for line in lines:
        if MARK in line:
            case = int(re.sub(r"\D.*", "", line.partition(MARK)[2]))
            continue
        if case is None:
            continue  # imports and seeds
        if "execve(" in line or _CONNECT.search(line):
            found.append(f"case {case}: {line.strip()[:200]}")
        match = _OPEN.search(line)
        if match is None or int(match[3]) < 0:
            continue
        path = os.path.normpath(folder / "given" / match[1])
        named = kind_of(case) in ("VRT", "raw VRT") and path.endswith(_LOOKED_AT)
        written = re.search(r"O_WRONLY|O_RDWR|O_CREAT", match[2])
        inside = path.startswith(str(folder)) and "/canary/" not in path
        fine = (
            inside
            or named
            or path in (*DEVICES, *_OWN)
            or (path.startswith(SYSTEM) and not written)
        )
        if not fine:
            found.append(f"case {case} ({kind_of(case)}): {path}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="how many (default: 500)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="panprior-fuzz-") as text:
        folder, log = Path(text), Path(text) / "trace.txt"
        worker = [sys.executable, "-m", "tests.fuzz.worker"]
        numbers = [str(args.first), str(args.first + args.cases)]
        calls = "trace=open,openat,openat2,connect,execve"
        command = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "300", "-e", calls, "-o", str(log)]
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "FUZZ_MARK": MARK}
        try:
            with (folder / "errors.txt").open("wb") as errors:
                done = subprocess.run(
                    [*command, *worker, *numbers, text],
                    cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=errors, check=False,
                )  # fmt: skip
        except FileNotFoundError:
            print("strace is not installed: nothing was traced")
            return 0
        if done.returncode or not log.stat().st_size:
            print((folder / "errors.txt").read_text(errors="replace")[-500:])
            print(f"strace or a case ended with exit code {done.returncode}: nothing is known")
            return 1
        with log.open(encoding="utf-8", errors="replace") as lines:
            found = outside(lines, folder)
    print("\n".join(found[:50]))
    print(f"{args.cases} cases under strace: {len(found)} opens or connections outside")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the CPU's tests cannot say of GPUs, in under ten minutes on one of them and 16 cores.

python -m bench.gpu [--out gpu.jsonl] [--only STEP ...] [--seconds 570]
python -m bench.gpu --dry       small, on the CPU: tries the program itself

Every step is a process of its own with a time limit; after one that fails the next begins. It
prints a line of JSON a step, {"step", "result": pass|fail|skip, "seconds", ...}, and at the end
PASS n/m. A step without its package or device is skipped, and does not pass.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.gpu.plan import DRY, FULL, Setting, Skip
from bench.gpu.steps import STEPS, find_step

_MARK = "bench.gpu facts: "
_LINES = 6  # of a failed step's last output


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [step.name for step in STEPS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="STEP")
    parser.add_argument("--dry", action="store_true", help="small, on the CPU")
    parser.add_argument("--out", type=Path, help="the lines, also to this file")
    parser.add_argument("--seconds", type=float, default=570, help="for all steps together")
    parser.add_argument("--inside", choices=names, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.inside:
        return run_inside(args.inside, DRY if args.dry else FULL)
    end = time.monotonic() + args.seconds
    passed = 0
    for name in args.only:
        line = run_step(name, dry=args.dry, seconds=end - time.monotonic())
        passed += line["result"] == "pass"
        text = json.dumps(line)
        print(text, flush=True)
        if args.out:
            with args.out.open("a") as file:
                file.write(text + "\n")
    print(f"PASS {passed}/{len(args.only)}")
    return 0 if passed == len(args.only) else 1


def run_step(name: str, *, dry: bool, seconds: float) -> dict[str, Any]:
    """The step in a process of its own, ended with all that it started at its time limit."""
    limit = min(find_step(name).limit, seconds)
    line: dict[str, Any] = {"step": name}
    if limit <= 0:
        return line | {"result": "skip", "seconds": 0.0, "why": "no time left"}
    command = [sys.executable, "-m", "bench.gpu", "--inside", name, *(["--dry"] if dry else [])]
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        output.seek(0)
        text = output.read()
    line["seconds"] = round(time.monotonic() - begun, 1)
    return line | _outcome(code, text, limit)


def _end(process: "subprocess.Popen[str]") -> None:
    """The step and what it has started, which are one session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(code: int | None, text: str, limit: float) -> dict[str, Any]:
    lines = text.splitlines()
    facts = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
    if code == 0 and facts:
        return dict(json.loads(facts[-1]))
    why = f"took longer than {limit:.0f} s" if code is None else f"ended with {code}"
    return {"result": "fail", "why": why, "output": [line for line in lines if line][-_LINES:]}


def run_inside(name: str, setting: Setting) -> int:
    """The step here; its facts on a line of their own."""
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        try:
            facts = find_step(name).run(setting, Path(folder))
            outcome = {"result": "pass", **facts}
        except Skip as why:
            outcome = {"result": "skip", "why": str(why)}
        except AssertionError as error:
            facts = error.args[1] if len(error.args) > 1 else {}
            outcome = {"result": "fail", "why": str(error.args[0]), **facts}
    print(_MARK + json.dumps(outcome), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

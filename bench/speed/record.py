"""Figures into bench/results.json, one entry a bench, with the machine that they are of."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results.json"


def record(name: str, figures: dict[str, Any], *, command: str, libraries: Sequence[str]) -> None:
    """Replace what `name` had; other benches' entries stay."""
    held = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    held[name] = {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(libraries),
        "figures": figures,
    }
    RESULTS.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")


def machine(libraries: Sequence[str]) -> dict[str, Any]:
    """Cores, CPU and versions: enough to judge a figure by; how busy it was."""
    return {
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "load": round(os.getloadavg()[1], 1),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
    }


def command_line() -> str:
    """The command as one would type it: `python -m bench.speed.NAME ...`.

    Of absolute paths the last part: where a folder lies is nobody else's matter.
    """
    module = ".".join(Path(sys.argv[0]).with_suffix("").parts[-3:])
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return " ".join(["python", "-m", module, *words])


def show(name: str, figures: dict[str, Any]) -> None:
    """Print a part's figures, a line each."""
    print(f"\n{name}")
    for key, value in figures.items():
        rows = value.items() if isinstance(value, dict) else [(key, value)]
        for row, number in rows:
            print(f"  {row:45s} {number}", flush=True)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    widest = [x for x in ("avx512f", "avx2") if x in facts.get("flags", "").split()]
    return " ".join([facts.get("model name", platform.machine()), *widest[:1]])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"

"""Where the repository and the shared material lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"  # real scenes and photographs; tests that need it say so
GOLDEN = ROOT / "tests/golden"  # numbers of the reference toolbox, of synthetic inputs

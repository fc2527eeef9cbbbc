"""Statistics of simulated samples compared with those of real scenes.

See docs/reports/realism.md.
"""

from simgen.realism.report import rich_table
from simgen.realism.run import run_realism, write_report

__all__ = ["rich_table", "run_realism", "write_report"]

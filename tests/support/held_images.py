"""simgen whose every try stands still once it has made HELD_AFTER shards: so can be stopped midway.

However fast the machine and slow the test. As a python would: held.py -m simgen build ...
"""

import os
import sys
import time

from simgen import cli
from simgen.building.build import run_build


def held(build, *, report, **options):
    def told(progress):
        report(progress)
        if progress.shards_done - progress.reused == int(os.environ["HELD_AFTER"]):
            time.sleep(600)

    return run_build(build, report=told, **options)


cli.run_build = held
if __name__ == "__main__":  # not in the processes that a build spawns
    sys.exit(cli.main(sys.argv[3:]))

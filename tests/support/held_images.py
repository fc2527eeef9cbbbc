"""simgen that waits after HELD_AFTER new shards, so that a test can stop it midway.

On a machine of any speed. Called as a Python would be: held_images.py -m simgen build ...
"""

import os
import sys
import time

from simgen import cli
from simgen.building.build import run_build
from simgen.commands import build as build_command


def held(build, *, report, **options):
    def report_and_hold(progress):
        report(progress)
        if progress.shards_done - progress.reused == int(os.environ["HELD_AFTER"]):
            time.sleep(600)

    return run_build(build, report=report_and_hold, **options)


build_command.run_build = held
if __name__ == "__main__":  # not in the processes that a build spawns
    sys.exit(cli.main(sys.argv[3:]))

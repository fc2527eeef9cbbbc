"""simgen build as tasks of a Ray cluster; a task that dies is started again and resumes.

CORES_PER_TASK=8 python engines/ray_build.py TASKS --dataset imagenet --source DIR --out OUT ...
OUT lies on a file system of all nodes. Afterwards: simgen merge OUT
"""

import os
import subprocess
import sys

import ray

CORES = int(os.environ.get("CORES_PER_TASK", "4"))


@ray.remote(num_cpus=CORES, max_retries=3, retry_exceptions=True)
def build(index: int, count: int, options: list[str]) -> int:
    task = ["--task-index", str(index), "--task-count", str(count), "--workers", str(CORES)]
    subprocess.run([sys.executable, "-m", "simgen", "build", *options, *task], check=True)
    return index


if __name__ == "__main__":
    count, options = int(sys.argv[1]), sys.argv[2:]
    ray.init(include_dashboard=False)
    waiting = [build.remote(index, count, options) for index in range(count)]
    while waiting:
        done, waiting = ray.wait(waiting)
        print(f"task {ray.get(done[0])} is done, {len(waiting)} to go", flush=True)

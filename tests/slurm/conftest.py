"""A whole Slurm on this machine, by a fixture: munge, slurmctld and two nodes' slurmd."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo", "scontrol")
CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge.socket
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=1000,sched_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
KillWait=30
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


NODES = ("one", "two")
IDLE = "idle\n" * len(NODES)
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000"


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm():
    """Environment variables with which sbatch finds it. Skips where it cannot start."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here; Debian: apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("a Slurm that may start jobs needs root")
    # Not tmp_path: a socket's path is short, and munge wants no writable parents.
    root = Path(tempfile.mkdtemp(prefix="panprior-slurm-"))
    root.chmod(0o755)
    for name in ("state", "spool"):
        (root / name).mkdir()
    (root / "munge.key").write_bytes(os.urandom(128))
    (root / "munge.key").chmod(0o600)
    host = socket.gethostname().partition(".")[0]
    ports = free_ports(1 + len(NODES))
    nodes = [NODE.format(name=n, host=host, port=p) for n, p in zip(NODES, ports[1:], strict=True)]
    (root / "slurm.conf").write_text(
        CONF.format(root=root, host=host, ports=ports, nodes="\n".join(nodes))
    )
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(root / "slurm.conf")}
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    munge = ["munged", "--foreground", "--force", f"--log-file={root}/munge.log"]
    munge += [f"--{option}={root}/munge.{ending}" for option, ending in names.items()]
    daemons = []
    try:
        slurmds = [["slurmd", "-D", "-N", name] for name in NODES]
        for command in (munge, ["slurmctld", "-D"], *slurmds):
            with (root / f"{len(daemons)}-{command[0]}.out").open("wb") as log:
                daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            if command is munge:
                wait_for((root / "munge.socket").exists, 60)
        if not wait_for(lambda: output_of(["sinfo", "-hN", "-o", "%T"], environment) == IDLE, 120):
            logs = {p.name: p.read_text(errors="replace")[-500:] for p in root.glob("*.out")}
            pytest.skip(f"Slurm does not start here: {logs}")
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(root, ignore_errors=True)


def output_of(command, environment) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def wait_for(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def wait():
    """(condition, seconds): until it holds, or the test fails."""

    def until(condition, seconds: float) -> None:
        assert wait_for(condition, seconds), "took too long"

    return until


@pytest.fixture
def let_go(slurm):
    """(job): start it now, though Slurm lets a requeued job wait two minutes."""

    def release(job: str) -> None:
        # Not this very second: slurmd revoked the credentials of the try that it ended, and takes
        # one of the same second for one of them ("Job credential revoked").
        command = ["scontrol", "update", f"jobid={job}", "starttime=now+2"]
        subprocess.run(command, env=slurm, check=True)

    return release

"""The steps in their order, with their time limits in seconds."""

from bench.gpu import fusing, scans, simulating, training
from bench.gpu.plan import Step

STEPS = (
    Step("versions", 40, training.versions),
    Step("dali-pixels", 60, simulating.pixels),
    Step("dali-speed", 120, simulating.speed),
    Step("dali-memory", 60, simulating.memory),
    Step("scans", 60, scans.kernels),
    Step("fuse", 100, fusing.whole_scene),
    Step("models", 90, training.models),
    Step("resume", 90, training.resumed),
    Step("compile", 80, training.compiled),
    Step("nccl", 40, training.nccl),
    Step("pytest", 120, training.marked_tests),
)


def find_step(name: str) -> Step:
    return next(step for step in STEPS if step.name == name)

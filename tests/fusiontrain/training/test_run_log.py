"""What a run says where there is no terminal."""

from functools import partial
from types import SimpleNamespace

from fusiontrain.training import run_log
from fusiontrain.training.config import RunOptions
from fusiontrain.training.run_log import RunLog
from shards.progress_lines import ProgressLines


def test_without_a_terminal_the_loss_is_said_every_ten_seconds(tmp_path, monkeypatch):
    """A step of three seconds, from a run stopped half-way: lines at 12, 24 and 36 s."""
    now, said = [0.0], []
    monkeypatch.setattr(run_log, "ProgressLines", partial(ProgressLines, clock=lambda: now[0]))
    start = SimpleNamespace(step=10)
    progress = SimpleNamespace(start=start, step=10, loss=0.5)
    distributed = SimpleNamespace(main=True, info=said.append, on_main=lambda work: work())
    distributed.log = lambda values, step: None
    log = RunLog(
        distributed=distributed,
        options=RunOptions(),
        out=tmp_path,
        progress=progress,
        validation_columns=(),
    )

    with log:
        log.validation({"held_loss": 0.25, "held_ergas": 3.0, "scenes_ergas_ratio": 0.5})
        for step in range(10, 23):
            progress.step, progress.loss = step, 1 / step
            log.show(step / 20 if step < 20 else 1.0)
            now[0] += 3

    assert said.pop(0) == (
        "validation at step 10: loss 0.2500 on held samples, ERGAS 3.000, on scenes ERGAS 0.500 "
        "times that of the best of EXP, GSA, MTF-GLP-FS"
    )
    assert [
        "training: step 14, loss 0.0714, 70 %, about 18 s left",
        "training: step 18, loss 0.0556, 90 %, about 6 s left",
        "training: step 22, loss 0.0455, 100 %",
    ] == said

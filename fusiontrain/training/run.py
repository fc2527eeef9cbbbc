"""A training run from its first step to its weights: builds the parts and runs them."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fusiontrain.data.dataset import ShardBatches
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_location import StreamSet
from fusiontrain.errors import TrainingError
from fusiontrain.imaging.full_precision import tf32
from fusiontrain.models.anyband.widening import widen
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint
from fusiontrain.models.registry import ModelEntry, build_model, find_asked, find_model
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.checkpointing import StateSaver
from fusiontrain.training.compiler_errors import naming_compiler_errors
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.launch_checks import hold_folder
from fusiontrain.training.losses import LOSSES
from fusiontrain.training.optimizer import make_optimizer
from fusiontrain.training.progress import RunProgress
from fusiontrain.training.run_data import open_data, stream_notes
from fusiontrain.training.run_files import WEIGHTS_NAME
from fusiontrain.training.run_identity import (
    Outcome,
    begin,
    find_finished,
    finish,
    run_identity,
    standing,
)
from fusiontrain.training.run_log import RunLog
from fusiontrain.training.train_step import TrainStep
from fusiontrain.training.trainer import Trainer
from fusiontrain.training.training_state import Progress, has_states, read_state, restore
from fusiontrain.training.validation import HeldSamples, Validation, also_trained_on, hold
from fusiontrain.training.validator import BEST_NAME, Validator
from fusiontrain.training.watchdog import Watchdog
from shards.signals import SIGNALS, collected_signals

_STOPPING = (*SIGNALS, signal.SIGUSR1)  # the trainer saves a state and stops


def train(
    config: TrainConfig,
    sets: Sequence[ShardSet | StreamSet],
    out: Path,
    options: RunOptions | None = None,
    *,
    config_file: str = "",
) -> Outcome:
    """Train, and leave weights, run.json, tables and trackers' files in `out`.

    `sets`: ShardSets of builds on disk; StreamSets under `options.stream`. `config_file`: the text
    of a file that starts the run again, left as config.yaml.
    A finished run of the same configuration and shards is reused as it is; an unfinished one
    goes on from its newest whole state, on any number of processes, as if it had never stopped.
    One that differs in max_steps or max_minutes alone goes on to the new end.
    SIGTERM, SIGINT and SIGUSR1 save a state first. Raises: TrainingError, ContractError,
    SharingError; Interrupted after such a signal.
    """
    options = options or RunOptions()
    if config.blend != 1:
        raise TrainingError("shards take no blend of weights: it is of tuning on one scene")
    distributed = Distributed(precision=config.precision, trackers=options.trackers, out=out)
    with ExitStack() as stack:
        distributed.on_main(lambda: stack.enter_context(hold_folder(out)))
        run = _Run(distributed, find_asked(config.model), config, options, out)
        outcome = run.train(sets, config_file)
    distributed.close()
    return outcome


@dataclass(frozen=True, slots=True)
class _Run:
    """What every part of a run is built from."""

    distributed: Distributed
    entry: ModelEntry
    config: TrainConfig
    options: RunOptions
    out: Path

    def train(self, sets: Sequence[ShardSet | StreamSet], config_file: str) -> Outcome:
        """The run, unless `out` holds it finished."""
        distributed, out = self.distributed, self.out
        data, left_out = open_data(distributed, self.config, sets, self.options)
        identity = run_identity(self.config, data, left_out, self.options)
        distributed.refuse_difference("shards and options", identity["digest"])
        done = distributed.on_main(lambda: find_finished(out, identity))
        if done is not None:
            return done
        if self.options.resume == "never" and distributed.on_main(lambda: has_states(out)):
            raise TrainingError(
                f"{out} holds a run that could go on, and `resume` is never\n"
                "  do: give `out` another folder, delete this one, or `resume=auto`"
            )
        torch.manual_seed(self.config.seed)
        net, sizes = distributed.run_on_all(lambda: self._network(data))
        validation, sample = self._validation(data, sets, sizes.get("bands"))
        train_step = self._train_step(net)
        start = self._restore(train_step, data, identity)
        distributed.on_main(lambda: begin(out, identity, self.options.recipe, config_file))
        progress = RunProgress(start, batch_size=self.config.batch_size)
        progress.best_by = validation.best_by if validation else ""
        hang_report = out / f"hang-rank-{distributed.rank}.txt"
        with Watchdog(self.options.hang_minutes, hang_report) as watchdog:
            log = RunLog(
                distributed=distributed,
                options=self.options,
                out=out,
                progress=progress,
                validation_columns=validation.columns if validation else (),
            )

            def info(facts: dict[str, Any]) -> CheckpointInfo:
                return self._info(identity, sizes, facts)

            validator = Validator(
                distributed=distributed,
                train_step=train_step,
                evaluated=self._like(sizes),
                validation=validation,
                sample=sample,
                out=out,
                info=info,
                progress=progress,
                log=log,
                watchdog=watchdog,
            )
            trainer = self._trainer(train_step, data, identity, progress, log, validator, watchdog)
            with (
                collected_signals(_STOPPING) as signals,
                naming_compiler_errors(self.entry.name, compiled=self.options.compile),
                tf32(allowed=self.config.tf32),
            ):
                facts = trainer.run(signals)
            distributed.on_main(lambda: finish(out, validator.weights(), info(facts)))
        return Outcome(weights=out / WEIGHTS_NAME, steps=facts["steps"], loss=facts["loss"])

    def _trainer(
        self,
        train_step: TrainStep,
        data: ShardBatches[Any],
        identity: dict[str, Any],
        progress: RunProgress,
        log: RunLog,
        validator: Validator,
        watchdog: Watchdog,
    ) -> Trainer:
        saver = StateSaver(
            distributed=self.distributed,
            train_step=train_step,
            data=data,
            progress=progress,
            identity=identity,
            out=self.out,
        )
        return Trainer(
            distributed=self.distributed,
            train_step=train_step,
            data=data,
            config=self.config,
            options=self.options,
            out=self.out,
            progress=progress,
            saver=saver,
            log=log,
            validator=validator,
            watchdog=watchdog,
        )

    def _network(self, data: ShardBatches[Any]) -> tuple[nn.Module, dict[str, int]]:
        """Initialised at random, or from the options' weights; and its sizes.

        A network of a fixed band count takes that of the shards.
        """
        entry, weights = self.entry, self.options.weights
        bands = sorted({s.row.bands for group in data.groups for s in group.shards})
        counts = ", ".join(map(str, bands))
        if not entry.any_band and len(bands) > 1:
            raise TrainingError(
                f"{entry.name} is built for one band count; the shards have {counts}"
                "\n  do: build shards with one (simgen build --bands), or train an any-band model"
            )
        if weights is None:
            sizes = entry.sizes if entry.any_band else {**entry.sizes, "bands": bands[0]}
            return build_model(entry.name, **sizes), sizes
        net, info = load_checkpoint(weights)
        if info.model == entry.continues:
            usual = info.sizes == find_model(info.model).sizes
            sizes = entry.sizes if usual else info.sizes
            wide = build_model(entry.name, **sizes)
            widen(wide, net.state_dict())
            return wide.train(), sizes
        if info.model != entry.name:
            load_checkpoint(weights, expect=entry.name)  # raises
        if info.sizes.get("bands", bands[0]) != bands[0]:
            raise TrainingError(
                f"{weights} is of {info.sizes['bands']} bands; the shards have {counts}\n"
                "  do: give shards of that count, or an any-band network's weights"
            )
        return net.train(), info.sizes

    def _validation(
        self,
        data: ShardBatches[Any],
        sets: Sequence[ShardSet | StreamSet],
        bands: int | None,
    ) -> tuple[Validation | None, HeldSamples | None]:
        """What the run validates on, and the sample that its pictures show."""
        distributed, options = self.distributed, self.options
        validation = None
        if options.validate or options.scenes:
            validation = distributed.run_on_all(
                lambda: Validation(
                    options.validate,
                    options.scenes,
                    entry=self.entry,
                    bands=bands,
                    loss=self.config.loss,
                    log=distributed.main,
                )
            )
        notes = distributed.on_main(lambda: also_trained_on(options.validate, data.manifests))
        for line in notes:
            distributed.info(line)
        if not options.picture_steps:
            return validation, None
        folders = [*options.validate, *(one.folder for one in sets if isinstance(one, ShardSet))]
        return validation, distributed.run_on_all(lambda: hold(folders[0], bands, 1))

    def _train_step(self, net: nn.Module) -> TrainStep:
        config, options = self.config, self.options
        optimizer = make_optimizer(net, config, self.entry.freeze_tuning_prefixes)
        if options.compile:
            net.compile()  # in place: the names of the weights stay
        net, optimizer = self.distributed.prepare(net, optimizer)
        unwrapped = self.distributed.unwrap(net)
        return TrainStep(
            processes=self.distributed,
            net=net,
            optimizer=optimizer,
            loss=LOSSES[config.loss],
            clip_norm=config.clip_norm,
            accumulate=options.accumulate,
            average=WeightEma(unwrapped, config.ema_decay) if config.ema_decay else None,
            mtf_error=config.mtf_error,
        )

    def _restore(
        self, train_step: TrainStep, data: ShardBatches[Any], identity: dict[str, Any]
    ) -> Progress | None:
        """Bring everything to the newest whole state, and start the trackers there."""
        distributed, out = self.distributed, self.out
        state = distributed.on_main(lambda: read_state(out, identity, distributed.info))
        step = state.progress.step if state else 0
        if state is None:  # the best weights of an earlier run are not this one's
            distributed.on_main(lambda: (out / BEST_NAME).unlink(missing_ok=True))
        else:
            net = distributed.unwrap(train_step.net)
            restore(state, net, train_step.optimizer.optimizer, train_step.average)
            if state.scaler is not None and distributed.scaler is not None:
                distributed.scaler.load_state_dict(state.scaler)
            for line in stream_notes(data, step, state.places):
                distributed.info(line)
        facts = {"recipe": self.options.recipe, **self.config.as_data()}
        distributed.start_trackers(facts, step)
        return standing(state, self.config, distributed.info) if state else None

    def _like(self, sizes: dict[str, int]) -> nn.Module:
        """A network of the same form, to hold the weights that are evaluated and published."""
        with torch.random.fork_rng(devices=[]):
            return build_model(self.entry.name, **sizes).to(self.distributed.device).eval()

    def _info(
        self, identity: dict[str, Any], sizes: dict[str, int], facts: dict[str, Any]
    ) -> CheckpointInfo:
        """The metadata of the run's weights."""
        weights = "averaged" if self.config.ema_decay else "last"
        recipe = {"name": self.options.recipe, "sha256": self.config.digest}
        run = {"recipe": recipe, "weights": weights, "processes": self.distributed.world}
        return CheckpointInfo(model=self.entry.name, sizes=sizes, training=identity | run | facts)

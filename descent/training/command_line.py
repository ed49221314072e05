"""The commands that need a trainer: LightningCLI with run folders and presets."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.io import CheckpointIO

from callbacks.checkpointing.io import DurableCheckpointIO
from callbacks.checkpointing.reading import read_checkpoint
from callbacks.compilation import Compile
from callbacks.distributed.rank_guard import RankGuard
from callbacks.monitored_values import MonitoredValues
from callbacks.non_finite.finite_run import FiniteRun
from callbacks.preflight import Preflight
from callbacks.reporting.baseline import AccuracyBaseline
from callbacks.reporting.first_images import FirstImages
from callbacks.reporting.history import METRICS_FILE
from callbacks.reporting.learning_curves import LearningCurves
from callbacks.reporting.predictions import PredictionTable
from callbacks.reporting.results import ResultsTable
from callbacks.resuming.exact_resume import ExactResume
from callbacks.resuming.preemption import Preemption
from callbacks.resuming.unlogged_row import next_step_in
from callbacks.target import parse_target
from descent.config_errors.check import check_config
from descent.config_errors.constructor import explained_constructor_errors
from descent.config_errors.first_use import explain_first_use
from descent.config_errors.linked import check_linked
from descent.config_errors.monitored import settle_modes
from descent.runs.config_text import config_text
from descent.runs.folder import Run, claim, resolve_checkpoint, run_of
from descent.runs.loggers import RunTensorBoardLogger, run_loggers
from descent.runs.lookup import (
    config_run,
    experiment_of,
    flat,
    newest_run_of,
    resolve_data_folders,
    resolve_weights,
    starting_weights,
)
from descent.runs.resumed_config import changes
from descent.runs.saved_config import SaveConfig
from descent.runs.summary import fit_summary, stopped
from descent.training.connection_errors import explain_loss
from descent.training.features.flags import check_that_it_trains
from descent.training.find_lr import write_search
from descent.training.mistakes import is_mistake
from descent.training.parser import LINKS, Parser, add_run_arguments
from descent.training.processes import as_list, use_fast_kernels, use_present_devices
from descent.training.trainer import Trainer
from foundation.compat.argument_parsers import subcommand_parser
from foundation.compat.lightning_cli import CommandLine
from foundation.errors import UserError
from foundation.files import local_folder, shown, strict_json
from foundation.hardware import computes_on_cpu, effective_precision
from foundation.processes import rank_of_process, say
from lightning_modules.resuming.settings import ResumedSettings
from lightning_modules.weights.needed import weights_from_checkpoint

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
"""Exit codes of a run that Ctrl+C or a scheduler ended."""


class DescentCLI(CommandLine):
    """LightningCLI: module, network, loss, optimizer, scheduler and data are chosen by class path or preset.

    `descent.training.build` builds the same objects without running a command.

    Attributes:
        run: The run's folder; `None` for a command that makes none.
    """

    kept_parsers: ClassVar[dict[str, Any]] = {}
    run: Run | None = None
    claimed: Run | None = None
    resumed_step: int | None = None
    resumed_from: int | None = None
    drawn_seed = False

    def __init__(self, args: list[str], remarks: Sequence[str] = ()) -> None:
        self.words, self.remarks = args, remarks
        try:
            super().__init__(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                trainer_class=Trainer,
                parser_class=Parser,
                save_config_callback=SaveConfig,
                seed_everything_default=0,
                auto_configure_optimizers=False,
                # It would store constructor arguments as hyper-parameters in each checkpoint (the run's config.yaml
                # has them), and it fails for a network without in_channels.
                load_from_checkpoint_support=False,
                args=args,
            )
        except BaseException as error:
            if self.claimed is not None:
                self.claimed.discard_if_unused()
            if isinstance(error, SystemExit) and error.code in STOPPED and self.claimed is not None:
                say(stopped(self.claimed))
            if (text := self._explained(error)) is not None:
                raise UserError(text) from error
            raise

    def _explained(self, error: BaseException) -> str | None:
        """Say which key of the config an error at the first use of its object belongs to; `None` if to none."""
        if not isinstance(error, Exception) or is_mistake(error) or explain_loss(error) is not None:
            return None
        if "trainer" not in vars(self):
            return None
        return explain_first_use(error, self.config.get(self.subcommand, self.config), self.trainer)

    # -- arguments -----------------------------------------------------------------------------------------------------

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arguments of a run that belong neither to trainer, module nor data."""
        add_run_arguments(parser)

    def prepare_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        """Give the subcommand `--help_all`."""
        assert isinstance(parser, Parser)
        parser.show_all_options()

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse without Lightning's warning that both `args` and `sys.argv` are given, which is always so here."""
        self.config = parser.parse_args(args)
        command = self.config.get("subcommand")
        if command is not None:
            self.drawn_seed = self.config[command].get("seed_everything") is True
            settle_modes(self.config[command], lambda: parser.parse_args(args, defaults=False)[command])
            check_config(self.config[command], subcommand_parser(parser, command), command)

    # -- from config to run --------------------------------------------------------------------------------------------

    def before_instantiate_classes(self) -> None:
        """Find the checkpoint, claim a run folder, and replace a precision that the device lacks."""
        config = self.config[self.subcommand]
        try:
            root = local_folder("trainer.default_root_dir", config.trainer.default_root_dir or ".")
        except ValueError as error:
            raise UserError(str(error)) from error
        config.trainer.default_root_dir = str(root)
        if self.subcommand == "fit":
            check_that_it_trains(config.trainer)
        saved = config_run(config)
        if saved is not None and self.subcommand in ("fit", "find_lr"):
            self._forget_saved_checkpoint(config, saved)
        if config.get("ckpt_path") == "last" and saved is None and self.subcommand == "fit":
            saved = newest_run_of(config)
            if saved is None:
                config.ckpt_path = None  # the first start of a job that is always started by the same command
        if config.get("ckpt_path"):
            name = "last" if self.subcommand == "fit" else "best"
            checkpoint = resolve_checkpoint(str(config.ckpt_path), name, saved)
            config.ckpt_path = str(checkpoint)
            self.run = run_of(checkpoint)
        elif self.subcommand in ("validate", "test", "predict") and not starting_weights(config):
            say(f"{self.subcommand}: no --ckpt_path is given, so the network has its initial, untrained weights.")
        resolve_weights(config)
        resolve_data_folders(config)
        writes = self.subcommand in ("fit", "find_lr") or (self.subcommand == "profile" and config.out is None)
        if self.run is None and writes and not config.trainer.fast_dev_run:
            experiment = config.experiment if config.experiment is not None else experiment_of(config, saved)
            self.run = claim(root, experiment)
            self.claimed = self.run if rank_of_process() == 0 else None
        change = None
        if self.subcommand in ("validate", "test", "predict"):
            change = use_present_devices(config.trainer, self.words)
        elif saved is None and not config.get("ckpt_path"):  # a resumed or repeated run keeps its arithmetic
            change = use_fast_kernels(config.trainer)
        config.trainer.precision, reason = effective_precision(config.trainer.precision, config.trainer.accelerator)
        on_cpu = computes_on_cpu(config.trainer.accelerator)
        for sentence in filter(None, (*(self.remarks if on_cpu else ()), change, reason)):
            say(sentence)
        if self.subcommand == "fit" and config.get("ckpt_path"):
            self._compare_with_checkpoint(config)

    def _compare_with_checkpoint(self, config: Namespace) -> None:
        """Print in what the config differs from the checkpoint's, or refuse to resume with it."""
        path = Path(config.ckpt_path)
        checkpoint = read_checkpoint(path, weights_only=config.get("weights_only"))
        self.resumed_step, self.resumed_from = next_step_in(checkpoint), checkpoint.get("global_step")
        text, _ = config_text(subcommand_parser(self.parser, "fit"), config)
        for line in changes(checkpoint, text, path, self.drawn_seed):
            say(line)

    def _forget_saved_checkpoint(self, config: Namespace, saved: Run) -> None:
        """Remove a `ckpt_path` that stands in a run's saved config: earlier versions wrote it there after a resume.

        With it, a repetition of the run would only continue the run, which is usually finished.
        """
        typed = any(word.partition("=")[0] == "--ckpt_path" for word in self.words)
        if config.get("ckpt_path") and not typed:
            say(f"{saved.config} names a checkpoint, which is left out: --ckpt_path last resumes that run.")
            config.ckpt_path = None

    def instantiate_classes(self) -> None:
        """Build everything; an error that a constructor raises is a mistake in the config."""
        config = self.config[self.subcommand]
        from_checkpoint = bool(config.get("ckpt_path"))
        with explained_constructor_errors(config), weights_from_checkpoint(from_checkpoint):
            super().instantiate_classes()
        check_linked(config, self.datamodule, LINKS)

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Build a trainer that logs into the run's folder, with the callbacks of every run."""
        config = self.config_init[self.subcommand]
        trainer = config.trainer
        plugins = as_list(trainer.plugins)
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(DurableCheckpointIO())
        kwargs["plugins"] = plugins
        if self.run is not None:
            kwargs["default_root_dir"] = str(self.run.folder)
        kwargs["logger"] = self._loggers(trainer.logger)
        configured = as_list(trainer.callbacks)  # a single preset is no list
        kinds: tuple[type, ...] = (ExactResume, ResumedSettings)
        kinds += (Preemption,) if trainer.enable_checkpointing is not False else ()
        missing = [kind() for kind in kinds if not any(isinstance(c, kind) for c in configured)]
        asked = [*([Preflight()] if config.preflight else []), *([Compile()] if config.compile else [])]
        if config.target and self.subcommand == "fit":
            asked.append(parse_target(config.target))
        reports = [AccuracyBaseline(), ResultsTable(), LearningCurves(), FirstImages(), PredictionTable()]
        trainer.callbacks = [MonitoredValues(), FiniteRun(), *configured, *missing, *asked, *reports]
        built: Any = super().instantiate_trainer(**kwargs)
        built.run_folder = None if self.run is None else self.run.folder
        for guard in built.callbacks:
            if isinstance(guard, RankGuard):
                guard.config = flat(self.config[self.subcommand])
        return built

    def _loggers(self, configured: Any) -> list[Logger] | bool:
        """Return the loggers of the run's folder, then those of the config; `false` means none at all."""
        if configured is False:
            return False
        added = [] if configured in (None, True) else as_list(configured)
        if self.run is None or self.subcommand != "fit":
            return added or False
        return [*run_loggers(self.run.folder, self.resumed_step), *added]

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """List the command that was given, with the arguments to skip; a parser for each would take half a second.

        Without a known command all are listed: Lightning's, and ours that need model, data and trainer.
        """
        known: dict[str, set[str]] = LightningCLI.subcommands()
        known |= {name: {"model", "datamodule"} for name in ("show_schedule", "find_lr", "profile")}
        return {name: known[name] for name in self.words[:1] if name in known} or known

    def before_show_schedule(self) -> None:
        """Replay the run's own validation results to a plateau schedule, unless others are given."""
        config = self.config_init[self.subcommand]
        run = self.run or config_run(self.config[self.subcommand])
        if config.get("validation") is None and run is not None and (run.folder / METRICS_FILE).is_file():
            config["validation"] = run.folder / METRICS_FILE

    def after_show_schedule(self) -> None:
        """Draw the schedule."""
        from descent.training.schedule_preview import finish

        config = self.config[self.subcommand]
        finish(self.trainer, self.run or config_run(config), config.get("out"))

    def after_fit(self) -> None:
        """Print the results, the run's folder, and the commands that use it."""
        if self.run is None or not self.trainer.is_global_zero:
            return
        if complete := self.trainer.global_step == self.resumed_from:
            print("The run is complete: it had reached its end before, and no step was taken.")
            for logger in self.trainer.loggers:
                if isinstance(logger, RunTensorBoardLogger):
                    logger.discard()
        print(fit_summary(self.run, self.trainer, trained=not complete))

    def after_find_lr(self) -> None:
        """Write the results, and print how to use them."""
        search = self.trainer.search  # type: ignore[attr-defined]
        if self.run is not None and self.trainer.is_global_zero:
            text = write_search(search, self.config["find_lr"], Path(shown(self.run.folder)))
            print(strict_json(search.as_dict()) if self.config["find_lr"].json else text)

    def after_profile(self) -> None:
        """Write the results, and print them."""
        from descent.profiling.profile import write_profile

        profile, out = self.trainer.profiled, self.config["profile"].out  # type: ignore[attr-defined]
        if self.trainer.is_global_zero:
            folder = Path(out) if out is not None else self.run.folder if self.run is not None else Path.cwd()
            text = write_profile(profile, folder)
            print(strict_json(profile.as_dict()) if self.config["profile"].json else text)

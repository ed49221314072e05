"""The commands that need a trainer: LightningCLI with run folders, presets, and a word about what is replaced."""

from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.io import CheckpointIO

from callbacks.checkpointing.checkpoint import DurableCheckpoint
from callbacks.checkpointing.io import DurableCheckpointIO
from callbacks.checkpointing.reading import step_of
from callbacks.distributed.rank_guard import RankGuard
from callbacks.learning_rate.search import LRSearch
from callbacks.preflight import Preflight
from callbacks.reporting.first_images import FirstImages
from callbacks.reporting.history import METRICS_FILE, LearningCurves
from callbacks.reporting.predictions import PredictionTable
from callbacks.resuming.exact_resume import ExactResume
from callbacks.resuming.preemption import Preemption
from descent.runs.folder import Run, claim, resolve_checkpoint, run_of
from descent.runs.loggers import run_loggers
from descent.runs.lookup import config_run, experiment_of, flat, newest_run_of
from descent.runs.saved_config import SaveConfig
from descent.runs.summary import fit_summary, shown
from descent.training.find_lr import write_search
from descent.training.help import HELP
from descent.training.parse_errors import explain
from descent.training.parser import Parser
from descent.training.trainer import Trainer
from foundation.compat.lightning_cli import CommandLine
from foundation.errors import UserError
from foundation.files import strict_json
from foundation.hardware import effective_precision
from foundation.processes import rank_of_process, say

DEFAULT_MODULE = {"class_path": "lightning_modules.ImageClassifier"}


class DescentCLI(CommandLine):
    """LightningCLI: module, network, loss, optimizer, scheduler and data chosen by class path or preset.

    Attributes:
        run: The run's folder; `None` where a command makes none.
    """

    run: Run | None = None
    claimed: Run | None = None

    def __init__(self, args: list[str] | None = None, run: bool = True) -> None:
        try:
            self._build_and_run(args, run)
        except BaseException:
            if self.claimed is not None:
                self.claimed.discard_if_unused()
            raise

    def _build_and_run(self, args: list[str] | None, run: bool) -> None:
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
            # It would put the injected classes' specs into hyper-parameters that the modules do not keep (the run's
            # config.yaml is their record), and it fails for a network without in_channels.
            load_from_checkpoint_support=False,
            args=args,
            run=run,
        )

    # -- arguments -----------------------------------------------------------------------------------------------------

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """What a run has beside trainer, module and data."""
        parser.add_argument(
            "--experiment",
            type=str | None,
            default=None,
            help="Name of the experiment; by default that of the config file. The run's folder is ROOT/EXPERIMENT/N.",
        )
        parser.add_argument(
            "--preflight",
            type=bool,
            default=True,
            help="Look at the first batch for mistakes: probabilities for logits, targets that broadcast, …",
        )
        parser.add_lightning_class_args(DurableCheckpoint, "checkpoint")
        parser.set_defaults({"model": DEFAULT_MODULE, "trainer.default_root_dir": "runs"})
        for argument in ("num_classes", "in_channels"):
            parser.link_arguments(
                f"data.{argument.replace('in_', '')}",
                f"model.init_args.network.init_args.{argument}",
                apply_on="instantiate",
            )

        for network in ("generator", "discriminator"):
            parser.link_arguments(
                "data.channels", f"model.init_args.{network}.init_args.channels", apply_on="instantiate"
            )

    def prepare_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        """Give the subcommand its short help, and `--help_all`."""
        assert isinstance(parser, Parser)
        parser.show_all_options()
        parser.short_help = HELP.get(subcommand)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; Lightning's own also warns that both `args` and `sys.argv` are there, as they always are here."""
        self.config = parser.parse_args(args)

    # -- from config to run --------------------------------------------------------------------------------------------

    def before_instantiate_classes(self) -> None:
        """Find the checkpoint, claim the run's folder, say which precision is used."""
        if self.subcommand is None:
            return
        config = self.config[self.subcommand]
        of_config = config_run(config)
        if config.get("ckpt_path") == "last" and of_config is None and self.subcommand == "fit":
            of_config = newest_run_of(config)
            if of_config is None:
                config.ckpt_path = None  # the first start of a job whose command is the same each time
        if config.get("ckpt_path"):
            name = "last" if self.subcommand == "fit" else "best"
            checkpoint = resolve_checkpoint(str(config.ckpt_path), name, of_config)
            config.ckpt_path = str(checkpoint)
            self.run = run_of(checkpoint)
        elif self.subcommand in ("validate", "test", "predict"):
            say(f"{self.subcommand}: no --ckpt_path is given: this is the network as it is initialised, untrained.")
        writes = self.subcommand in ("fit", "find_lr") or (self.subcommand == "profile" and config.out is None)
        if self.run is None and writes and not config.trainer.fast_dev_run:
            experiment = config.experiment or experiment_of(config, of_config)
            self.run = claim(Path(config.trainer.default_root_dir or "."), experiment)
            self.claimed = self.run if rank_of_process() == 0 else None
        config.trainer.precision, reason = effective_precision(config.trainer.precision, config.trainer.accelerator)
        if reason:
            say(reason)

    def instantiate_classes(self) -> None:
        """Make everything; what a constructor refuses is a mistake in the config."""
        try:
            super().instantiate_classes()
        except (OSError, UserError, MisconfigurationException):
            raise
        except Exception as error:
            text = explain(str(error), [])
            raise UserError(text or f"{type(error).__name__} while the config's classes were made") from error

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """A trainer that logs into the run's folder and saves durably."""
        trainer = self.setting("trainer")
        plugins = trainer.get("plugins") or []
        plugins = list(plugins) if isinstance(plugins, list) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(DurableCheckpointIO())
        kwargs["plugins"] = plugins
        if self.run is not None:
            kwargs["default_root_dir"] = str(self.run.folder)
        kwargs["logger"] = self._loggers(trainer.get("logger"))
        configured = trainer.get("callbacks") or []
        configured = [configured] if isinstance(configured, Callback) else configured  # one preset is no list
        preflight = [Preflight()] if self.setting("preflight") else []
        trainer["callbacks"] = [
            *configured,
            *unless_configured(configured),
            *preflight,
            LearningCurves(),
            FirstImages(),
            PredictionTable(),
        ]
        made = super().instantiate_trainer(**kwargs)
        for guard in made.callbacks:  # type: ignore[attr-defined]
            if isinstance(guard, RankGuard):
                guard.config = flat(self.config[self.subcommand])
        return made

    def _loggers(self, configured: Any) -> list[Logger] | Logger | bool:
        if configured not in (None, True):
            return configured
        if self.run is None or self.subcommand != "fit":
            return False
        checkpoint = self.config[self.subcommand].get("ckpt_path")
        return run_loggers(self.run.folder, step_of(Path(checkpoint)) if checkpoint else None)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's commands, and ours that need model, data and trainer."""
        known: dict[str, set[str]] = LightningCLI.subcommands()
        return known | {name: {"model", "datamodule"} for name in ("show_schedule", "find_lr", "profile")}

    def before_show_schedule(self) -> None:
        """Replay the run's own validation to a plateau, unless another is given."""
        config = self.config_init[self.subcommand]
        run = self.run or config_run(self.config[self.subcommand])
        if config.get("validation") is None and run is not None and (run.folder / METRICS_FILE).is_file():
            config["validation"] = run.folder / METRICS_FILE

    def after_show_schedule(self) -> None:
        """Draw it."""
        from descent.training.schedule_preview import finish

        config = self.config[self.subcommand]
        finish(self.trainer, self.run or config_run(config), config.get("out"))

    def after_fit(self) -> None:
        """Say how good it is, where it is, and what to do with it."""
        if self.run is None or not self.trainer.is_global_zero:
            return
        best = self.run.checkpoint("best")
        print(fit_summary(self.run, self.trainer, best if best.exists() else self.run.checkpoint("last")))

    def after_find_lr(self) -> None:
        """Write what was found, and say how to use it."""
        if self.run is not None and self.trainer.is_global_zero:
            said = write_search(self._search(), self.config["find_lr"], Path(shown(self.run.folder)))
            print(strict_json(self._search().as_dict()) if self.config["find_lr"].json else said)

    def after_profile(self) -> None:
        """Say it, and write it."""
        from descent.profiling.profile import write_profile

        assert isinstance(self.trainer, Trainer)
        assert self.trainer.profiled is not None
        if not self.trainer.is_global_zero:
            return
        out = self.config["profile"].out
        folder = Path(out) if out is not None else self.run.folder if self.run is not None else Path.cwd()
        said = write_profile(self.trainer.profiled, folder)
        print(strict_json(self.trainer.profiled.as_dict()) if self.config["profile"].json else said)

    def _search(self) -> LRSearch:
        assert isinstance(self.trainer, Trainer)
        assert self.trainer.search is not None
        return self.trainer.search


def unless_configured(configured: list[Callback]) -> list[Callback]:
    """What every run has, as far as the config does not say how."""
    return [kind() for kind in (ExactResume, Preemption) if not any(isinstance(given, kind) for given in configured)]

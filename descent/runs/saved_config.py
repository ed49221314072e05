"""Save a run's config in its folder and in TensorBoard, and its main settings as a row of TensorBoard's table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_warn

from descent.runs.config_difference import changed_text
from descent.runs.config_text import config_text
from descent.runs.folder import CONFIG
from descent.runs.loggers import RunTensorBoardLogger
from foundation.files import replace_text

PARTS = ("network", "loss", "optimizer", "scheduler")
TRAINER_KEYS = ("max_epochs", "precision", "gradient_clip_val")
RESUMED = "# Resumed at step "


class SaveConfig(SaveConfigCallback):
    """Save the run's config, so that it can be run again, and show it in TensorBoard.

    A new run saves it when training starts. A resumed run replaces the file once it has taken a step: until then the
    file is that of the run that made the checkpoint. The file holds no ``ckpt_path``, with which a run of it would only
    continue the run that is finished; a comment for each resume says where it began.
    """

    config_text: str | None = None
    """What the file of this run holds, or will hold after the first step; None before training starts."""

    _written = False

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Do nothing: the config of a resumed run is replaced only after its checkpoint is known to fit."""

    def on_train_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Save the config of a new run."""
        folder = Path(trainer.log_dir)  # a collective call: all processes must make it
        if not trainer.is_global_zero:
            return
        self._file, self._first_step = folder / CONFIG, trainer.global_step
        self.config_text = self._text(trainer)
        if not self._file.exists():
            self._write(trainer)

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Replace the config of a resumed run after its first optimizer step."""
        if not self._written and self.config_text is not None and trainer.global_step > self._first_step:
            self._write(trainer)

    def _text(self, trainer: Any) -> str:
        config = self.config.clone()
        config["ckpt_path"] = None
        comments = []
        if trainer.ckpt_path is not None:
            earlier = self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else []
            comments = [line for line in earlier if line.startswith(RESUMED)]
            comments.append(f"{RESUMED}{trainer.global_step} from {trainer.ckpt_path}.")
        text, sentences = config_text(self.parser, config)
        for sentence in sentences:
            rank_zero_warn(sentence)
        return "".join(f"{line}\n" for line in comments) + text

    def _write(self, trainer: Any) -> None:
        """Replace the file atomically: Lightning truncates it first, and a kill then leaves no config."""
        assert self.config_text is not None
        self._written = True
        replace_text(self._file, self.config_text)
        for logger in trainer.loggers:  # into TensorBoard as text, and as the run's row in its table
            if isinstance(logger, RunTensorBoardLogger):
                config = yaml.safe_load(self.config_text)
                difference = changed_text(config, self.parser.get_defaults().as_dict())
                logger.log_text("config", f"# What differs from the defaults.\n{difference}")
                logger.log_settings(settings(config))


def settings(config: Mapping[str, Any]) -> dict[str, bool | str | float | int]:
    """Return class and plain arguments of each part, and what else is tuned, as a flat table by short names.

    TensorBoard compares runs by it; `descent.runs.loggers` lets it begin with the most important ones.

    Args:
        config: A run's config, as in its `config.yaml`.

    Example:
        >>> sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
        >>> settings({"model": {"init_args": {"optimizer": sgd}}})
        {'optimizer': 'SGD', 'lr': 0.1}
    """
    found: dict[str, Any] = {}
    arguments = (config.get("model") or {}).get("init_args") or {}
    for name in PARTS:
        found |= _settings_of(name, arguments.get(name))
    data = _settings_of("data", config.get("data"))
    found |= {"data": data.get("data"), "batch_size": data.get("data.batch_size")}
    if "optimizer.lr" in found:
        found["lr"] = found.pop("optimizer.lr")
    trainer = config.get("trainer") or {}
    found |= {name: trainer.get(name) for name in TRAINER_KEYS} | {"seed": config.get("seed_everything")}
    return {name: value for name, value in found.items() if isinstance(value, (bool, int, float, str))}


def _settings_of(name: str, spec: Any) -> dict[str, Any]:
    if not isinstance(spec, Mapping):
        return {}
    arguments = spec.get("init_args") or {}
    return {name: str(spec["class_path"]).rpartition(".")[2]} | {f"{name}.{key}": v for key, v in arguments.items()}

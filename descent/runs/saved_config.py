"""Save a run's config in its folder and in TensorBoard, and its main settings as a row of TensorBoard's table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import SaveConfigCallback

from descent.runs.folder import CONFIG
from descent.runs.loggers import RunTensorBoardLogger
from foundation.files import replace_text

PARTS = ("network", "loss", "optimizer", "scheduler")
TRAINER_KEYS = ("max_epochs", "precision", "gradient_clip_val")


class SaveConfig(SaveConfigCallback):
    """Save the run's config when training starts, and show it in TensorBoard."""

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Do nothing: the config of a resumed run is replaced only after its checkpoint is known to fit."""

    def on_train_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Replace the file atomically: Lightning truncates it first, and a kill then leaves no config."""
        folder = Path(trainer.log_dir)  # a collective call: all processes must make it
        if not trainer.is_global_zero:
            return
        text = self.parser.dump(self.config, skip_none=False)
        replace_text(folder / CONFIG, text)
        for logger in trainer.loggers:  # into TensorBoard as text, and as the run's row in its table
            if isinstance(logger, RunTensorBoardLogger):
                logger.log_text("config", text)
                logger.log_settings(settings(yaml.safe_load(text)))


def settings(config: Mapping[str, Any]) -> dict[str, bool | str | float | int]:
    """Return class and plain arguments of each part, and what else is tuned, as a flat table by short names.

    TensorBoard compares runs by it. It shows the first five columns by alphabet until more are chosen, hence
    `batch_size` and `lr` without a prefix.

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

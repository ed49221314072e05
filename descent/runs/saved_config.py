"""The run's config, in its folder and in TensorBoard."""

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import SaveConfigCallback

from descent.runs.folder import CONFIG
from descent.runs.loggers import RunTensorBoardLogger
from descent.runs.settings_table import settings
from foundation.files import replace_text


class SaveConfig(SaveConfigCallback):
    """Saves the run's config when training starts, and shows it in TensorBoard."""

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Wait: the config of a run that goes on is replaced only once its checkpoint is seen to fit."""

    def on_train_start(self, trainer: Any, pl_module: LightningModule) -> None:
        """Save, as a whole or not at all: Lightning truncates the file first, and a kill then leaves no config."""
        folder = Path(trainer.log_dir)  # asks the other processes
        if not trainer.is_global_zero:
            return
        text = self.parser.dump(self.config, skip_none=False)
        replace_text(folder / CONFIG, text)
        for logger in trainer.loggers:  # into TensorBoard as text, and as the run's row in its table
            if isinstance(logger, RunTensorBoardLogger):
                logger.log_text("config", text)
                logger.log_settings(settings(yaml.safe_load(text)))

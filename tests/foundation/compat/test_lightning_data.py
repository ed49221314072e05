"""Private parts of Lightning's fit loop that `foundation.compat.lightning_data` uses."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from foundation.compat.lightning_data import forget_training_data, load_training_data, loader_positions


class Loads(BoringModel):
    """Makes its loader twice before the fit begins."""

    def __init__(self) -> None:
        super().__init__()
        self.loaders = 0

    def train_dataloader(self) -> Any:
        self.loaders += 1
        return super().train_dataloader()

    def configure_optimizers(self) -> Any:
        assert self.trainer.fit_loop._combined_loader is None
        assert loader_positions(self.trainer) == []
        load_training_data(self.trainer)
        load_training_data(self.trainer)
        assert self.trainer.fit_loop._data_fetcher is not None
        assert self.trainer.fit_loop._combined_loader_states_to_load == []
        assert not self.trainer.fit_loop.restarting
        return super().configure_optimizers()

    def on_fit_start(self) -> None:
        forget_training_data(self.trainer)
        forget_training_data(self.trainer)


def test_the_loader_is_made_when_asked_for_and_again_when_forgotten(tmp_path: Path) -> None:
    module = Loads()
    Trainer(fast_dev_run=2, default_root_dir=tmp_path, accelerator="cpu", logger=False).fit(module)
    assert module.loaders == 2

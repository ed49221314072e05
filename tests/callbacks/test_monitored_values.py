"""What a checkpoint is ranked by is checked before training, as far as it is known then."""

from functools import partial
from pathlib import Path

import pytest
import torch

from callbacks import DurableCheckpoint
from callbacks.monitored_values import MonitoredValues, may_come_later
from foundation.errors import UserError
from tests.datamodules.memory.pruning.test_runs import classifier
from tests.datamodules.support import MadeUp, quiet_trainer


@pytest.mark.parametrize("monitor", ["nosuch", "train/acuracy"])
def test_a_checkpoint_by_what_is_never_logged_is_refused_before_training(monitor: str, tmp_path: Path) -> None:
    module = classifier()
    module.optimizer = partial(torch.optim.SGD, lr=0.1)
    kept = DurableCheckpoint(monitor=monitor, mode="min", dirpath=str(tmp_path / "checkpoints"))
    trainer = quiet_trainer(max_epochs=1, callbacks=[MonitoredValues(), kept], enable_checkpointing=True)
    with pytest.raises(UserError, match=f"the checkpoint monitors '{monitor}' .* not logged"):
        trainer.fit(module, MadeUp(batch_size=15))
    assert trainer.global_step == 0
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("monitor", ["train/loss_step", "train/generator_loss_step", "lr", "gradients/norm"])
def test_what_is_logged_by_step_or_by_a_callback_may_come_later(monitor: str) -> None:
    assert may_come_later(monitor)
    assert not may_come_later("train/acuracy")
    assert not may_come_later("nosuch")

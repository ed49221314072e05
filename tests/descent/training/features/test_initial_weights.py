"""The weights that a run starts from are asked for before its data is prepared, unless a checkpoint will be loaded."""

from pathlib import Path

import pytest

from descent.training.features.initial_weights import WeightsFirst
from foundation.errors import UserError
from tests.callbacks.inside_case import classifier


def test_they_are_not_asked_for_where_lightning_loads_a_checkpoint_by_itself(tmp_path: Path) -> None:
    trainer = WeightsFirst(default_root_dir=tmp_path, accelerator="cpu", logger=False)
    module = classifier()
    module.start_from(str(tmp_path / "gone.pth"), strict=True)
    with pytest.raises(UserError, match=r"there is no file .*gone\.pth"):
        trainer.load_initial_weights("fit", module)
    trainer.load_initial_weights("fit", module, ckpt_path="given.ckpt")
    trainer.ckpt_path = "by_hand.ckpt"
    trainer.load_initial_weights("fit", module)

"""The batch size that is found is the one of the schedule, of the data and of the saved config."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import BatchSizeFinder

import descent.training.features.batch_size as searched
from datamodules import DigitsDataModule
from descent.training.trainer import Trainer
from foundation.compat.lightning import BatchSizeSettings
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.schedulers import Cosine
from tests.descent.helpers import SHORT, run

POWER = BatchSizeSettings("batch_size", "power", 1, 2, 25, 0.1, 64)
BISECT = BatchSizeSettings("batch_size", "binsearch", 1, 2, 25, 0.1, 64)


def memory_for(most: int, samples: int = 1000) -> Any:
    return lambda size: samples if size <= most else None


@pytest.mark.parametrize(
    ("settings", "fits", "expected"),
    [
        (POWER, memory_for(37), (32, False)),
        (POWER, memory_for(1000), (64, True)),  # max_val
        (POWER, memory_for(1000, samples=50), (50, True)),
        (POWER, memory_for(1), (1, False)),
        (BISECT, memory_for(37), (33, False)),  # 37 less a margin of 10 %
        (BISECT, memory_for(1000), (64, True)),  # the memory is no limit: no margin
    ],
)
def test_the_largest_size(settings: BatchSizeSettings, fits: Any, expected: tuple[int, bool]) -> None:
    assert searched.largest(settings, fits) == expected


def test_nothing_fits() -> None:
    with pytest.raises(UserError, match="not even a batch of 1 fits"):
        searched.largest(POWER, memory_for(0))


def made(**trainer: Any) -> tuple[Trainer, ImageClassifier, DigitsDataModule]:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    module = ImageClassifier(network, partial(torch.optim.SGD, lr=0.1), scheduler=Cosine())
    options: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "max_epochs": 2}
    finder = BatchSizeFinder(steps_per_trial=1, init_val=256, max_val=512)
    return Trainer(callbacks=[finder], **options | trainer), module, DigitsDataModule(batch_size=32)


def test_schedule_and_weights_are_those_of_a_run_that_was_given_the_size(tmp_path: Path) -> None:
    trainer, module, data = made(default_root_dir=tmp_path)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trainer.fit(module, datamodule=data)
    assert (data.batch_size, trainer.global_step) == (512, 4)
    assert trainer.optimizers[0].param_groups[0]["lr"] == 0, "the cosine has come to its end"

    _, again, same = made()
    again.load_state_dict(before)
    same.batch_size = 512
    plain = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=2, default_root_dir=tmp_path
    )
    plain.fit(again, datamodule=same)
    for ours, theirs in zip(module.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_out_of_memory_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, module, data = made(default_root_dir=tmp_path)

    def step(self: ImageClassifier, batch: Any, batch_idx: int) -> torch.Tensor:
        if len(batch[0]) > 300:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return ImageClassifier.__mro__[1].training_step(self, batch, batch_idx)  # type: ignore[attr-defined,no-any-return]

    monkeypatch.setattr(ImageClassifier, "training_step", step)
    trainer.fit(module, datamodule=data)
    assert data.batch_size == 256


def test_it_is_refused_where_it_cannot_search(tmp_path: Path) -> None:
    trainer, module, data = made(default_root_dir=tmp_path)
    data.setup("fit")
    with pytest.raises(UserError, match="neither the module nor a data module has an attribute batch_size"):
        trainer.fit(module, data.train_dataloader())


def test_a_command_saves_the_size_and_a_resume_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    finder = ["--trainer.callbacks+=BatchSizeFinder", "--trainer.callbacks.steps_per_trial=1"]
    run([*SHORT, *finder, "--trainer.callbacks.init_val=32", "--trainer.callbacks.max_val=32"])
    said = capsys.readouterr().err
    assert "BatchSizeFinder: batch_size 64 → 32 (no larger one was tried); the learning rate is not changed." in said
    saved = yaml.safe_load(Path("runs/quickstart/0/config.yaml").read_text())
    assert saved["data"]["init_args"]["batch_size"] == 32
    resumed = run(["fit", "--ckpt_path=runs/quickstart/0", "--trainer.max_epochs=3"])
    assert "BatchSizeFinder: no search in a resumed run" in capsys.readouterr().err
    assert resumed.datamodule.batch_size == 32

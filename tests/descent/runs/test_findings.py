"""A fit that ends at chance, or with training far above validation, says so, and its command mends it."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from datamodules import ImageFolderDataModule
from datamodules.memory.baseline import Baseline
from descent.runs.findings import Outcome, findings, fine_tunable
from lightning_modules import ImageClassifier
from lightning_modules.networks import FineTunedNetwork, TimmNetwork
from lightning_modules.weights.needed import weights_from_checkpoint
from tests.descent.helpers import run

GOOD = Outcome(0.95, 0.93, Baseline(0.5, "the most common class (cat)", 100), 400, "config.yaml", None, "")


def test_a_good_run_has_none() -> None:
    assert findings(GOOD) == []
    assert findings(replace(GOOD, train=None)) == []


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (replace(GOOD, val=0.58, train=0.99), "what was learned does not carry over"),
        (replace(GOOD, val=0.52, train=0.55), "descent find-lr -c config.yaml"),
        (replace(GOOD, val=0.52, train=0.55, steps=40, limits=" --trainer.max_steps -1"), "40 optimizer steps are few"),
        (replace(GOOD, val=0.7, train=0.99), "far above validation accuracy"),
        (replace(GOOD, val=0.7, train=0.99, folder="cats"), "configs/finetune.yaml --data.root cats"),
        (replace(GOOD, chance=Baseline(0.5, "the most common class (cat)", 3)), "3 validation images are too few"),
    ],
)
def test_what_is_found(outcome: Outcome, expected: str) -> None:
    (said,) = findings(outcome)
    assert expected in said


SGD = partial(torch.optim.SGD, lr=0.1)


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("kind", ["fine-tuned", "timm", "file"])
def test_a_network_that_was_fine_tuned_is_not_told_to_be(kind: str, pretrained: bool) -> None:
    """So too where a checkpoint was loaded, which needs no pretrained weights."""
    with weights_from_checkpoint():
        if kind == "fine-tuned" and pretrained:
            module = ImageClassifier(FineTunedNetwork("resnet10t"), SGD)
        else:
            file = "weights.pth" if kind == "file" and pretrained else None
            network = TimmNetwork("resnet10t", pretrained=kind == "timm" and pretrained)
            module = ImageClassifier(network, SGD, weights=file)
    trainer = SimpleNamespace(datamodule=ImageFolderDataModule("cats"), lightning_module=module)
    assert fine_tunable(trainer) == (None if pretrained else "cats")


def test_a_gap_that_few_images_explain_is_none() -> None:
    assert findings(replace(GOOD, val=0.75, train=0.95, chance=Baseline(0.3, "the most common class (cat)", 12))) == []


SHORT = [
    "fit", "-c", "configs/binary.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=1", "--data.batch_size=300", "--model.optimizer.lr=0.0001",
]  # fmt: skip


def test_the_command_mends_a_run_at_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(SHORT)
    said = capsys.readouterr().out.splitlines()
    ((place, warning),) = [(place, line) for place, line in enumerate(said) if line.startswith("warning ")]
    assert "is no better than chance: the most common class" in warning
    assert "1 optimizer steps are few" in warning
    command = said[place + 1].split()[1:]
    run([*command, "--model.optimizer.lr=0.01"])
    text = capsys.readouterr().out
    assert "warning " not in text
    assert "would give 0." in text, "the accuracy of the most common class is beside the result"

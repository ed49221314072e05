"""The preflight names each mistake and what to change, is silent where nothing is wrong, and leaves no hook behind."""

import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks import Preflight
from cli import main
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.losses import (
    DiceLoss,
    ProbabilityBCELoss,
    RMSELoss,
    SigmoidCrossEntropyLoss,
    SoftmaxFocalLoss,
    WeightedCrossEntropyLoss,
)
from lightning_modules.losses.batch_checks import examine, examine_inputs
from lightning_modules.losses.input_contract import InputContract
from lightning_modules.networks import MLP

G = torch.Generator().manual_seed(0)
LOGITS = torch.randn(16, 3, generator=G)
CLASSES = torch.arange(16) % 3
ONE = torch.randn(16, generator=G)
LABELS = torch.arange(16) % 2
NAN = torch.tensor([float("nan")] + [0.0] * 15)

CERTAIN: list[tuple[nn.Module, Tensor, Tensor, str]] = [
    (nn.MSELoss(), ONE, NAN, r"1 of 16 targets in the first batch are NaN or infinite"),
    (nn.CrossEntropyLoss(), LOGITS * torch.inf, CLASSES, r"48 of 48 network outputs"),
    (nn.MSELoss(), ONE[:, None], ONE, r"\(16, 1\) and targets \(16,\).*broadcast.*output\.squeeze\(-1\)"),
    (nn.L1Loss(), LOGITS, ONE, r"\(16, 3\) and targets \(16,\).*as many outputs as there are targets"),
    (nn.HuberLoss(), ONE, ONE[:, None], "broadcast"),
    (nn.BCEWithLogitsLoss(), LOGITS, CLASSES, r"BCEWithLogitsLoss got outputs \(16, 3\) and targets \(16,\)"),
    (nn.CrossEntropyLoss(), ONE, LABELS, r"takes one logit per class, \(B, C\)"),
    (nn.CrossEntropyLoss(), LOGITS, ONE, r"takes integer class numbers.*use target\.long\(\)"),
    (nn.CrossEntropyLoss(), LOGITS, CLASSES[:, None], r"takes class numbers of shape \(16,\)"),
    (
        nn.CrossEntropyLoss(),
        LOGITS,
        CLASSES + 1,
        r"targets \[3\].*3 outputs, for classes 0 to 2\. Are they counted from 1",
    ),
    (SoftmaxFocalLoss(), LOGITS, CLASSES - 1, r"targets \[-1\] in the first batch are not class numbers"),
    (DiceLoss(), LOGITS, CLASSES.where(CLASSES > 0, 255), r"targets \[255\].*Give the loss ignore_index: 255"),
    (nn.CrossEntropyLoss(), ONE[:, None], LABELS * 0, "over one class is always 0.*bce_logits"),
    (nn.BCELoss(), ONE, LABELS.float(), "BCELoss takes probabilities, but the network returns -.*bce_logits.yaml"),
    (ProbabilityBCELoss(), ONE, LABELS.float(), "ProbabilityBCELoss takes probabilities"),
    (nn.NLLLoss(), LOGITS, CLASSES, "NLLLoss takes log-probabilities.*cross_entropy.yaml"),
]
UNCERTAIN: list[tuple[nn.Module, Tensor, Tensor, str]] = [
    (
        nn.CrossEntropyLoss(),
        LOGITS.softmax(1),
        CLASSES,
        "sum to 1, as after a softmax.*Remove the network's last softmax",
    ),
    (SoftmaxFocalLoss(), LOGITS.softmax(1), CLASSES, "sum to 1, as after a softmax"),
    (nn.BCEWithLogitsLoss(), ONE.sigmoid(), LABELS.float(), "as after a sigmoid.*losses/bce.yaml"),
    (DiceLoss("binary"), ONE.sigmoid(), LABELS, "as after a sigmoid"),
    (nn.CrossEntropyLoss(), LOGITS, torch.ones(16, 3), "target probabilities of a sample sum to 3 to 3, not to 1"),
    (
        nn.CrossEntropyLoss(),
        LOGITS,
        CLASSES * 0 + 2,
        "all targets of the first batch are 2: are the training data shuffled",
    ),
    (nn.CrossEntropyLoss(), 50 * LOGITS, CLASSES, r"first cross-entropy is \d.*random guess 1\.1 \(ln 3\).*normalised"),
    (nn.BCEWithLogitsLoss(), 50 * ONE, LABELS.float(), r"random guess 0\.693 \(ln 2\)"),
    (nn.CrossEntropyLoss(), 9.0 * nn.functional.one_hot(CLASSES), CLASSES, "trained before"),
]
RIGHT: list[tuple[nn.Module, Tensor, Tensor]] = [
    (nn.MSELoss(), ONE, ONE + 1),
    (RMSELoss(), LOGITS, LOGITS + 1),
    (nn.CrossEntropyLoss(), LOGITS, CLASSES),
    (nn.CrossEntropyLoss(), LOGITS, CLASSES.where(CLASSES > 0, -100)),
    (nn.CrossEntropyLoss(), LOGITS, LOGITS.softmax(1)),
    (DiceLoss(), torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))),
    (SigmoidCrossEntropyLoss(), ONE[:, None], LABELS),
    (SigmoidCrossEntropyLoss(), LOGITS, CLASSES),
    (nn.BCELoss(), ONE.sigmoid(), LABELS.float()),
    (nn.NLLLoss(), LOGITS.log_softmax(1), CLASSES),
]


@pytest.mark.parametrize(("loss", "output", "target", "message"), CERTAIN)
def test_a_certain_mistake_is_an_error(loss: nn.Module, output: Tensor, target: Tensor, message: str) -> None:
    with pytest.raises(UserError, match=rf"^Preflight: .*{message}.*--preflight false"):
        Preflight().report(examine(loss, output, target))


@pytest.mark.parametrize(("loss", "output", "target", "message"), UNCERTAIN)
def test_an_uncertain_mistake_is_a_warning(loss: nn.Module, output: Tensor, target: Tensor, message: str) -> None:
    with pytest.warns(UserWarning, match=f"^Preflight: .*{message}"):
        Preflight().report(examine(loss, output, target))


@pytest.mark.parametrize(("loss", "output", "target"), RIGHT)
def test_correct_batches_give_no_message(loss: nn.Module, output: Tensor, target: Tensor) -> None:
    assert examine(loss, output, target) == []


def test_a_trained_network_may_have_any_loss() -> None:
    loss, output = nn.CrossEntropyLoss(), 50 * LOGITS
    assert examine(loss, output, CLASSES)
    assert examine(loss, output, CLASSES, untrained=False) == []


def test_inputs() -> None:
    pixels = torch.tensor([0.0, 255.0])
    with pytest.warns(UserWarning, match="inputs range from 0 to 255.*Normalise them"):
        Preflight().report(examine_inputs(pixels))
    with pytest.raises(UserError, match="1 of 2 numbers in the first batch of inputs are NaN"):
        Preflight().report(examine_inputs(torch.tensor([0.0, torch.nan])))
    assert examine_inputs(torch.randn(100)) == []
    assert examine_inputs(torch.tensor([0, 255])) == []


def test_an_own_loss_declares_what_it_expects() -> None:
    class Own(nn.Module):
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return (output - target).square().mean()

    assert examine(Own(), ONE[:, None], ONE) == []  # nothing is known about it
    own: Any = Own()
    own.expects = InputContract("numbers", "elements")
    assert examine(own, ONE[:, None], ONE)


def trainer(folder: Path, *callbacks: Any) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
        callbacks=list(callbacks),
    )


def classifier() -> ImageClassifier:
    return ImageClassifier(MLP(3, 4), partial(torch.optim.SGD, lr=0.1), num_classes=3)


def loader(shift: int = 0, scale: float = 1.0) -> DataLoader[tuple[Tensor, ...]]:
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(scale * inputs, torch.arange(32) % 3 + shift), batch_size=8)


def test_a_mistake_is_found_before_the_first_step(tmp_path: Path) -> None:
    module = classifier()
    before = [parameter.clone() for parameter in module.parameters()]
    with pytest.raises(UserError, match="counted from 1"):
        trainer(tmp_path, Preflight()).fit(module, loader(shift=1))
    for old, new in zip(before, module.parameters(), strict=True):
        assert torch.equal(old, new)
    assert not module.loss._forward_pre_hooks


def test_in_validation_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not class numbers"):
        trainer(tmp_path, Preflight()).fit(classifier(), loader(), loader(shift=7))


def test_it_warns_once_changes_no_weight_and_removes_its_hook(tmp_path: Path) -> None:
    results = []
    for callbacks in ([], [Preflight()]):
        torch.manual_seed(0)
        module = classifier()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer(tmp_path, *callbacks).fit(module, loader(scale=100.0), loader(scale=100.0))
        warned = [str(warning.message) for warning in caught if "Preflight" in str(warning.message)]
        assert len(warned) == len(set(warned))
        assert any("inputs range" in text for text in warned) == bool(callbacks)
        assert not module.loss._forward_pre_hooks
        results.append([parameter.detach().clone() for parameter in module.parameters()])
    for without, with_it in zip(*results, strict=True):
        assert torch.equal(without, with_it)


def test_modules_without_a_loss_are_ignored(tmp_path: Path) -> None:
    class Plain(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 1)

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            output: Tensor = self.layer(batch[0]).mean()
            return output

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    trainer(tmp_path, Preflight()).fit(Plain(), loader())


@pytest.mark.parametrize("on", [True, False])
def test_from_the_command_line(
    on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "-c", "configs/quickstart.yaml", "--trainer.limit_train_batches=1", "--trainer.max_epochs=1"]
    words += ["--model.loss=torch.nn.MSELoss", f"--preflight={str(on).lower()}"]
    with pytest.raises(SystemExit):
        main(words)
    message = capsys.readouterr().err
    said = "error: Preflight: MSELoss got outputs" if on else "error: model.loss: The size of tensor a"
    assert said in message
    assert "Traceback" not in message


def test_a_validation_batch_of_one_class_does_not_warn(tmp_path: Path) -> None:
    """An image folder is read class by class, and validation data are not shuffled."""
    labels = torch.arange(48) // 16
    data = TensorDataset(torch.randn(48, 4, generator=G), labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(tmp_path, Preflight()).fit(classifier(), loader(), DataLoader(data, batch_size=16))
    assert not [str(w.message) for w in caught if "all targets" in str(w.message)]


def test_small_logits_of_one_sign_are_not_mistaken_for_a_sigmoid() -> None:
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (64,), generator=g).float()
    small = 0.02 + 0.2 * torch.rand(64, generator=g)
    assert examine(nn.BCEWithLogitsLoss(), small, labels) == []
    for sigmoid in (torch.sigmoid(torch.randn(64, generator=g)), torch.sigmoid(5 * torch.randn(64, generator=g))):
        (finding,) = examine(nn.BCEWithLogitsLoss(), sigmoid, labels)
        assert "as after a sigmoid" in finding.text


def test_a_batch_without_a_label_is_refused_where_the_loss_would_be_nan() -> None:
    logits, unlabelled = torch.randn(4, 3, 2, 2), torch.full((4, 2, 2), 255)
    (finding,) = examine(nn.CrossEntropyLoss(ignore_index=255), logits, unlabelled)
    assert finding.certain
    assert "no target of the first batch is labelled (all are 255)" in finding.text
    assert all(not f.certain for f in examine(WeightedCrossEntropyLoss(ignore_index=255), logits, unlabelled))


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "norm", "refused"),
    [
        (4, False, True, True),  # 9 = 2 · 4 + 1
        (4, True, True, False),
        (3, False, True, False),
        (4, False, False, False),
    ],
)
def test_a_last_batch_of_one_sample_before_batch_norm(
    batch_size: int, drop_last: bool, norm: bool, refused: bool, tmp_path: Path
) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4) if norm else nn.Identity(), nn.Linear(4, 3))
    module = ImageClassifier(network, partial(torch.optim.SGD, lr=0.1), num_classes=3)
    data = TensorDataset(torch.randn(9, 3), torch.arange(9) % 3)
    loader = DataLoader(data, batch_size, drop_last=drop_last, shuffle=True)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", max_epochs=1, callbacks=[Preflight()], default_root_dir=tmp_path, **quiet)
    with pytest.raises(UserError, match="The last batch of an epoch has one sample") if refused else nullcontext():
        trainer.fit(module, loader)
    assert trainer.global_step == (0 if refused else len(loader))

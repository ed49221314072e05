"""ImageClassifier in a real trainer: metrics, errors, and behaviour with a gradient scaler."""

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.base.task import trial_output
from lightning_modules.schedulers import Cosine

SGD = partial(torch.optim.SGD, lr=0.05)
SAMPLES, CLASSES, BATCH = 70, 7, 32


class Blobs(LightningDataModule):
    """70 images of 7 classes, told apart by their brightness; 70 is no multiple of the batch size."""

    num_classes, channels, image_size = CLASSES, 1, (4, 4)
    class_names: ClassVar = [f"class {index}" for index in range(CLASSES)]

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.targets = torch.arange(SAMPLES) % CLASSES
        self.images = torch.randn(SAMPLES, 1, 4, 4, generator=generator) + self.targets[:, None, None, None]

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(self.images, self.targets), batch_size=BATCH)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, CLASSES))


def trainer(folder: Path, **options: Any) -> Trainer:
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(default_root_dir=folder, accelerator="cpu", **{**quiet, "max_epochs": 1, **options})


def test_validation_is_a_mean_over_samples(tmp_path: Path) -> None:
    module, data = ImageClassifier(network(), SGD), Blobs()
    logged = trainer(tmp_path).validate(module, data, verbose=False)[0]
    with torch.no_grad():
        logits = module.network.double()(data.images.double())
    assert logged["val/loss"] == pytest.approx(nn.functional.cross_entropy(logits, data.targets).item(), rel=1e-6)
    ranks = (logits > logits.gather(1, data.targets[:, None])).sum(dim=1)
    assert logged["val/accuracy"] == pytest.approx((ranks == 0).double().mean().item())
    assert logged["val/accuracy_top5"] == pytest.approx((ranks < 5).double().mean().item())


def test_training_means_are_over_samples(tmp_path: Path) -> None:
    module, data = ImageClassifier(network(), partial(torch.optim.SGD, lr=1e-30)), Blobs()  # the weights stay
    run = trainer(tmp_path)
    run.fit(module, data)
    with torch.no_grad():
        logits = module.network(data.images)
    expected = nn.functional.cross_entropy(logits, data.targets).item()
    assert run.callback_metrics["train/loss"].item() == pytest.approx(expected, rel=1e-6)
    right = (logits.argmax(dim=1) == data.targets).float().mean().item()
    assert run.callback_metrics["train/accuracy"].item() == pytest.approx(right)


def test_the_steps_are_those_of_a_bare_loop(tmp_path: Path) -> None:
    module, data = ImageClassifier(network(), SGD, scheduler=Cosine()), Blobs()
    trainer(tmp_path, max_epochs=3, gradient_clip_val=0.5).fit(module, data)
    bare = network()
    optimizer = SGD(bare.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9)
    for _ in range(3):
        for images, targets in data.train_dataloader():
            optimizer.zero_grad()
            nn.functional.cross_entropy(bare(images), targets).backward()
            nn.utils.clip_grad_norm_(bare.parameters(), 0.5)
            optimizer.step()
            schedule.step()
    for ours, theirs in zip(module.network.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_learning_rate_and_step_loss_are_logged_as_used(tmp_path: Path) -> None:
    from lightning.pytorch.loggers import CSVLogger

    from callbacks import history

    logger = CSVLogger(tmp_path, name="", version="run")
    run = trainer(tmp_path, max_epochs=2, logger=logger, log_every_n_steps=1)
    run.fit(ImageClassifier(network(), SGD, scheduler=Cosine()), Blobs())
    import pandas as pd

    rows = pd.read_csv(tmp_path / "run" / "metrics.csv").dropna(subset=["lr"])
    expected = [0.05 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / 6)).item()) for step in range(6)]
    assert rows["lr"].tolist() == pytest.approx(expected, rel=1e-6)  # the first step uses the full rate
    assert rows["train/loss_step"].notna().all()
    assert list(history(tmp_path / "run").index) == [0, 1]


def test_several_parameter_groups_log_a_rate_each(tmp_path: Path) -> None:
    def groups(parameters: Any) -> torch.optim.Optimizer:
        first, *rest = next(iter(parameters))["params"]
        return torch.optim.SGD([{"params": [first], "name": "first"}, {"params": rest, "lr": 0.2}], lr=0.1)

    run = trainer(tmp_path, log_every_n_steps=1)
    run.fit(ImageClassifier(network(), groups), Blobs())
    assert run.callback_metrics["lr/first"].item() == pytest.approx(0.1)
    assert run.callback_metrics["lr/1"].item() == pytest.approx(0.2)


def test_skipped_steps_do_not_advance_the_schedule(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**26)  # overflows fp16 until it is halved often enough
    module = ImageClassifier(network(), SGD, scheduler=Cosine())
    run = trainer(tmp_path, max_epochs=4, plugins=[MixedPrecision("16-mixed", device="cpu", scaler=scaler)])
    run.fit(module, Blobs())
    assert module.taken_steps is not None
    taken = module.taken_steps.taken
    assert 0 < taken < run.global_step == 12
    assert run.lr_scheduler_configs[0].scheduler.last_epoch == taken
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


def test_channels_last_changes_only_the_layout(tmp_path: Path) -> None:
    def convolutions() -> nn.Module:
        torch.manual_seed(0)
        features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1))
        return nn.Sequential(features, nn.Flatten(), nn.Linear(8, CLASSES))

    results = []
    for channels_last in (True, False):
        module = ImageClassifier(convolutions(), SGD, channels_last=channels_last)
        run = trainer(tmp_path)
        run.fit(module, Blobs())
        results.append(run.callback_metrics["train/loss"])
        weight = module.network.get_parameter("0.2.weight")
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


def test_predictions_are_probabilities(tmp_path: Path) -> None:
    batches: Any = trainer(tmp_path).predict(ImageClassifier(network(), SGD), Blobs())
    probability = torch.cat([batch["probability"] for batch in batches])
    runner_up = torch.cat([batch["runner_up_probability"] for batch in batches])
    assert len(probability) == SAMPLES
    assert ((probability >= runner_up) & (probability + runner_up <= 1 + 1e-6)).all()


class TestErrors:
    def test_wrong_number_of_outputs(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"Linear gives \(2, 1, 4, 3\) for 2 images; the data has 7"):
            trainer(tmp_path).fit(ImageClassifier(nn.Linear(4, 3), SGD), Blobs())

    def test_wrong_channels(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"Conv2d does not take images of shape \(1, 4, 4\)"):
            trainer(tmp_path).fit(ImageClassifier(nn.Conv2d(3, 8, 3), SGD), Blobs())

    def test_the_trial_run_changes_nothing(self) -> None:
        layers = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.BatchNorm1d(16), nn.Linear(16, CLASSES))
        layers[2].eval()  # frozen before
        before = {name: value.clone() for name, value in layers.state_dict().items()}
        state = torch.get_rng_state()
        assert trial_output(layers, (1, 4, 4)) == (2, CLASSES)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(value, before[name]) for name, value in layers.state_dict().items())
        assert layers.training
        assert not layers[2].training

    def test_number_of_classes_that_contradicts_the_data(self, tmp_path: Path) -> None:
        module = ImageClassifier(network(), SGD, num_classes=3)
        with pytest.raises(UserError, match="num_classes is 3 in the module, but the data has 7"):
            trainer(tmp_path).fit(module, Blobs())

    def test_unknown_number_of_classes(self, tmp_path: Path) -> None:
        loader = Blobs().train_dataloader()
        with pytest.raises(UserError, match=r"number of classes is unknown: give ImageClassifier\(num_cl"):
            trainer(tmp_path).fit(ImageClassifier(network(), SGD), loader)

    def test_nothing_to_train(self, tmp_path: Path) -> None:
        frozen = network().requires_grad_(False)
        with pytest.raises(UserError, match="Sequential has no trainable parameters"):
            trainer(tmp_path).fit(ImageClassifier(frozen, SGD), Blobs())

    def test_arguments_that_the_optimizer_refuses(self) -> None:
        with pytest.raises(ValueError, match=r"SGD: lr must be ≥ 0, got -1\.0"):
            ImageClassifier(network(), partial(torch.optim.SGD, lr=-1.0))

    def test_a_checkpoint_of_another_network(self, tmp_path: Path) -> None:
        run = trainer(tmp_path)
        run.fit(ImageClassifier(network(), SGD), Blobs())
        run.save_checkpoint(tmp_path / "it.ckpt")
        other = ImageClassifier(nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES)), SGD)
        with pytest.raises(UserError, match=r"of another network than Sequential.*network\.1\.weight"):
            trainer(tmp_path).validate(other, Blobs(), ckpt_path=tmp_path / "it.ckpt", verbose=False)

"""Images of a GAN, its config, and arguments that do not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from callbacks.reporting.predictions import PredictionTable
from cli import main
from datamodules import DigitsDataModule
from foundation.errors import UserError
from lightning_modules import GAN
from lightning_modules.networks import DCGANGenerator
from tests.lightning_modules.adversarial.gan_case import ADAM, data, made, trainer


def test_draws_samples_at_every_validation_and_predicts_images(tmp_path: Path) -> None:
    module = made()
    run = trainer(tmp_path, PredictionTable(), max_epochs=2)
    run.fit(module, data())
    files = sorted((tmp_path / "figures" / "samples").iterdir())
    assert [path.name for path in files] == ["step_000006.png", "step_000012.png"]
    with Image.open(files[0]) as image:
        assert image.size == (8 * 66 + 2, 8 * 66 + 2)
    first, second = (files[0].read_bytes(), files[1].read_bytes())
    assert first != second
    assert torch.equal(module.fixed_noise(4, -1), module.fixed_noise(4, -1))
    made_of: Any = run.predict(module, data())
    assert sum(len(batch["image"]) for batch in made_of) == 359
    assert made_of[0]["image"].dtype == torch.uint8
    assert not torch.equal(made_of[0]["image"], made_of[1]["image"][: len(made_of[0]["image"])])
    with Image.open(tmp_path / "predictions" / "000.png") as image:
        assert image.size == (8, 8)


def test_images_come_in_minus_one_to_one_whatever_the_data_normalises_with(tmp_path: Path) -> None:
    gan, other = made(), DigitsDataModule(batch_size=16, mean=[0.1], std=[0.3])
    run = trainer(tmp_path, limit_train_batches=1)
    run.fit(gan, other)
    assert other.train_set is not None
    raw = next(iter(other.train_dataloader()))
    seen = gan.real(other.prepare_batch(raw, training=False))
    torch.testing.assert_close(seen, raw[0].float() / 127.5 - 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"gradient_clip_val": 0.5}, r"two optimizers, .* use --model.gradient_clip_val 0.5 in place"),
        ({"accumulate_grad_batches": 4}, r"use --model.accumulate 4 in place of --trainer.accumulate_grad_batches 4"),
    ],
)
def test_names_the_arguments_that_replace_trainer_flags(flags: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        trainer(tmp_path, **flags).fit(made(), data())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient_clip_val": 0.0}, "gradient_clip_val must be > 0, or null for none, got 0.0"),
        ({"gradient_clip_algorithm": "max"}, "gradient_clip_algorithm must be one of norm, value; got 'max'"),
        ({"accumulate": 0}, "accumulate must be ≥ 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_networks_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Linear must have an attribute latent_size"):
        GAN(nn.Linear(8, 8), nn.Linear(8, 1), ADAM, ADAM)
    with pytest.raises(UserError, match=r"makes images of \(1, 8, 8\) .* the data's are of \(1, 32"):
        trainer(tmp_path).fit(made(), data(size=32))
    blind = GAN(DCGANGenerator(1, 8, 4, 8), nn.Flatten(), ADAM, ADAM)
    with pytest.raises(UserError, match=r"Flatten gives \(2, 64\) for 2 images; expected \(2,\)"):
        trainer(tmp_path).fit(blind, data())


def test_trains_from_its_config_on_colour_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--data", "configs/data/shape_labels.yaml", "--data.pictures=200", "--trainer.limit_train_batches=2"]
    short = [
        "--trainer.max_epochs=1",
        "--trainer.limit_val_batches=1",
        "--model.generator.width=4",
        "--model.discriminator.width=4",
    ]
    run = main(["fit", "-c", "configs/gan.yaml", *words, *short])
    assert run.trainer.global_step == 2
    assert run.model.generator(torch.zeros(2, 64)).shape == (2, 3, 32, 32)
    assert (tmp_path / "runs/gan/0/figures/samples/step_000002.png").is_file()
    assert (tmp_path / "runs/gan/0/checkpoints/best.ckpt").is_file()

"""The base data module: batches by seed and epoch, which set is opened when, messages."""

import os
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules import CropFlip, ImageDataModule
from datamodules.memory.normalisation import Normaliser, pixel_statistics
from datamodules.memory.order import EpochOrder, EvaluationOrder, RepeatedOrder
from foundation.errors import UserError
from tests.datamodules.support import MadeUp, Recorder, made_up, quiet_trainer

Seen = list[tuple[str, int, Tensor, Tensor]]


def fit(seed: int | None = 0, epochs: int = 2, **kwargs: Any) -> Seen:
    model = Recorder()
    arguments: dict[str, Any] = {"batch_size": 16, "augmentation": CropFlip(1, flip="alternating")}
    data = MadeUp(seed=seed, **(arguments | kwargs))
    quiet_trainer(max_epochs=epochs, num_sanity_val_steps=0).fit(model, data)
    return model.seen


def same(one: Seen, other: Seen) -> bool:
    return len(one) == len(other) and all(
        a[:2] == b[:2] and torch.equal(a[2], b[2]) and torch.equal(a[3], b[3]) for a, b in zip(one, other, strict=True)
    )


def test_batches_do_not_depend_on_workers_or_the_global_generator() -> None:
    alone = fit()
    torch.manual_seed(99)
    torch.rand(17)
    assert same(alone, fit(num_workers=2))
    assert same(alone, fit(num_workers=1))
    assert not same(alone, fit(seed=1))


def test_loading_leaves_the_global_generator_alone() -> None:
    data = MadeUp(batch_size=10)
    data.setup("fit")
    state = torch.get_rng_state()
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for batch in loader:
            data.prepare_batch(batch, training=True, epoch=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_epochs_differ_and_training_sees_each_image_once() -> None:
    data = MadeUp(batch_size=9, val_share=0.1)
    data.setup("fit")
    loader, orders = data.train_dataloader(), []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        orders.append(torch.cat([rows for _, _, rows in loader]))
    assert data.val_set is not None
    for order in orders:
        assert torch.equal(torch.cat([order, data.val_set.rows]).sort().values, torch.arange(100))
    assert not torch.equal(*orders)


def test_batches_hold_the_images_of_their_rows() -> None:
    data, held = MadeUp(batch_size=9), made_up(100)
    data.setup("fit")
    for images, targets, rows in data.train_dataloader():
        assert images.dtype == torch.uint8
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(images, held.pixels[rows].permute(0, 3, 1, 2))
        assert torch.equal(targets, held.targets[rows])


def test_training_augments_and_evaluation_does_not() -> None:
    crop = CropFlip(1, flip="alternating")
    data, model = MadeUp(batch_size=9, eval_batch_size=7, augmentation=crop, seed=5), Recorder()
    trainer = quiet_trainer(max_epochs=2, num_sanity_val_steps=2)
    trainer.fit(model, data)
    trainer.test(model, data)
    assert data.train_set is not None
    assert data.val_set is not None
    images, normalise = made_up(100), Normaliser(pixel_statistics(made_up(100).pixels))
    for epoch in range(2):
        order = rows_of_epoch(data, epoch)
        expected = normalise(crop(images.pixels[order].permute(0, 3, 1, 2), order, 5, epoch))
        got = torch.cat([images for stage, at, images, _ in model.seen if (stage, at) == ("train", epoch)])
        assert torch.equal(got, expected)
    order = torch.tensor(list(EvaluationOrder(data.val_set, shuffled=True)))
    plain = normalise(images.pixels[data.val_set.rows[order]].permute(0, 3, 1, 2))
    validated = [images for stage, _, images, _ in model.seen if stage == "val"]
    assert torch.equal(torch.cat(validated), torch.cat([plain] * 3))  # sanity check and two epochs
    tested = torch.cat([images for stage, _, images, _ in model.seen if stage == "test"])
    order = torch.tensor(list(EvaluationOrder(range(21), shuffled=True)))
    assert torch.equal(tested, normalise(made_up(21, seed=1).pixels[order].permute(0, 3, 1, 2)))


def rows_of_epoch(data: ImageDataModule, epoch: int) -> Tensor:
    assert data.train_set is not None
    order = EpochOrder(data.train_set, data.seed)
    order.set_epoch(epoch)
    return data.train_set.rows[torch.tensor(list(order))]


def test_only_test_and_predict_open_the_test_set() -> None:
    data, model, trainer = MadeUp(batch_size=9), Recorder(), quiet_trainer(max_epochs=1)
    trainer.fit(model, data)
    trainer.validate(model, data)
    assert set(data.opened) == {"train"}
    trainer.test(model, data)
    assert data.opened.count("test") == 1
    predictions = trainer.predict(model, data)
    assert predictions is not None
    assert sum(map(len, predictions)) == 21


def test_validation_does_not_depend_on_the_seed_of_the_run() -> None:
    sets = []
    for seed, split_seed in ((0, 0), (1, 0), (0, 1)):
        data = MadeUp(seed=seed, split_seed=split_seed)
        data.setup("fit")
        assert data.val_set is not None
        sets.append(data.val_set.rows)
    assert torch.equal(sets[0], sets[1])
    assert not torch.equal(sets[0], sets[2])


def test_seed_comes_from_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert MadeUp().seed == 0
    monkeypatch.setenv("PL_GLOBAL_SEED", "42")
    assert MadeUp().seed == 42
    assert MadeUp(seed=7).seed == 7
    assert os.environ["PL_GLOBAL_SEED"] == "42"


def test_last_batch_is_left_out_or_not() -> None:
    for drop_last, sizes in ((True, [40, 40]), (False, [40, 40, 10])):
        data = MadeUp(batch_size=40, drop_last=drop_last)
        data.setup("fit")
        loader = data.train_dataloader()
        assert [len(batch[1]) for batch in loader] == sizes
        assert len(loader) == len(sizes)


def test_pixels_are_not_copied() -> None:
    data = MadeUp()
    data.setup("fit")
    assert data.train_set is not None
    assert data.val_set is not None
    assert data.train_set.images.pixels.data_ptr() == data.val_set.images.pixels.data_ptr()


def test_given_mean_and_std_are_used() -> None:
    data = MadeUp(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    images, _ = data.prepare_batch(batch, training=False)
    torch.testing.assert_close(images, batch[0].float() / 255)


def test_overfit_batches_uses_training_images_only() -> None:
    data, model = MadeUp(batch_size=10), Recorder()
    quiet_trainer(max_epochs=1, overfit_batches=2, num_sanity_val_steps=0).fit(model, data)
    assert data.train_set is not None
    rows = data.train_set.rows[list(RepeatedOrder(data.train_set, data.seed))[:20]]
    trained = torch.cat([images for stage, _, images, _ in model.seen if stage == "train"])
    expected = Normaliser(data.statistics)(made_up(100).pixels[rows].permute(0, 3, 1, 2))
    assert torch.equal(trained, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be ≥ 1, got 0"),
        ({"eval_batch_size": 0}, "eval_batch_size must be ≥ 1, got 0"),
        ({"num_workers": -1}, r"num_workers must be in \[0, 512\], got -1"),
        ({"seed": -1}, "seed must be ≥ 0, got -1"),
        ({"split_seed": -1}, "split_seed must be ≥ 0, got -1"),
        ({"val_share": 0.0}, r"val_share must be in \(0, 1\), got 0"),
        ({"val_share": 1.0}, r"val_share must be in \(0, 1\), got 1"),
        ({"mean": [0.5], "std": [0.0]}, "mean and std must have one value per channel and std be > 0"),
        ({"mean": [0.5]}, r"mean and std must be given together, got \[0.5\] and None"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MadeUp(**arguments)


def test_batch_larger_than_the_data() -> None:
    data = MadeUp(batch_size=91)
    with pytest.raises(UserError, match="batch_size 91 is larger than the training data, 90 images"):
        quiet_trainer(max_epochs=1).fit(Recorder(), data)


def test_share_that_leaves_a_class_without_a_sample() -> None:
    with pytest.raises(UserError, match=r"class 'class 0' has 2 images: .* 0 for validation"):
        quiet_trainer(max_epochs=1).fit(Recorder(), MadeUp(train=4, batch_size=1))


@pytest.mark.parametrize(("kind", "stage"), [("train", "fit"), ("val", "fit"), ("test", "test"), ("predict", "test")])
def test_loader_before_setup(kind: str, stage: str) -> None:
    with pytest.raises(UserError, match=rf"call setup\('{stage}'\) first"):
        getattr(MadeUp(), f"{kind}_dataloader")()


def test_mean_of_the_wrong_length() -> None:
    data = MadeUp(mean=[0.5], std=[0.5])
    with pytest.raises(UserError, match="mean and std have 1 value, the images 3 channels"):
        quiet_trainer(max_epochs=1).fit(Recorder(), data)


def test_lightning_has_no_advice(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr("lightning.pytorch.trainer.connectors.data_connector.suggested_max_num_workers", lambda _: 8)
    quiet_trainer(max_epochs=1).fit(Recorder(), MadeUp(batch_size=9))
    words = ("shuffl", "sampler", "many workers")
    assert not [warning for warning in recwarn if any(word in str(warning.message) for word in words)]

"""The split of images by their content: shares, the smallest classes, and no image that moves when others go or come."""

import pytest
import torch

from datamodules.folder.contents.image_split import choice_of_test, choice_of_validation, split_by_content


def keys(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(1 << 62), 1 << 62, (count,), generator=generator)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_every_class_has_about_its_share(share: float) -> None:
    targets = torch.arange(20_000) % 10
    first, second = split_by_content(keys(20_000), targets, share, choice_of_test())
    assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(20_000))
    assert torch.equal(second, second.sort().values)
    shares = torch.bincount(targets[second]) / 2000
    assert (shares - share).abs().max() < 4 * (share * (1 - share) / 2000) ** 0.5


@pytest.mark.parametrize(
    ("images", "keep", "fewest", "most"),
    [(1, 1, 0, 0), (2, 1, 1, 1), (3, 1, 1, 2), (1, 2, 0, 0), (2, 2, 1, 1), (3, 2, 1, 1), (4, 2, 1, 2), (9, 2, 1, 7)],
)
@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_small_classes(images: int, keep: int, fewest: int, most: int, share: float) -> None:
    for seed in range(20):
        targets = torch.zeros(images, dtype=torch.int64)
        second = split_by_content(keys(images, seed), targets, share, choice_of_test(), keep)[1]
        assert fewest <= len(second) <= most
    assert len(second) == (fewest if share == 0.001 else most if share == 0.999 else len(second))


def test_deleted_and_added_images_move_no_others() -> None:
    known, targets = keys(3000), torch.arange(3000) % 30
    second = set(known[split_by_content(known, targets, 0.2, choice_of_test())[1]].tolist())
    for seed in range(5):
        kept = torch.randperm(3000, generator=torch.Generator().manual_seed(seed))[:2000]
        now, their = torch.cat([known[kept], keys(50, seed + 1)]), torch.cat([targets[kept], torch.arange(50) % 30])
        chosen = set(now[split_by_content(now, their, 0.2, choice_of_test())[1]].tolist())
        there = set(known[kept].tolist())
        assert chosen & there == second & there


def test_the_order_of_the_images_does_not_matter() -> None:
    known, targets = keys(500), torch.arange(500) % 7
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    second = split_by_content(known, targets, 0.2, choice_of_test())[1]
    shuffled = split_by_content(known[order], targets[order], 0.2, choice_of_test())[1]
    assert set(order[shuffled].tolist()) == set(second.tolist())


def test_copies_of_a_file_are_in_the_same_set() -> None:
    known = keys(200).repeat(2)
    second = split_by_content(known, torch.arange(400) // 200, 0.3, choice_of_test())[1]
    assert set(second[second < 200].tolist()) == {row - 200 for row in second[second >= 200].tolist()}


def test_test_and_validation_are_chosen_independently() -> None:
    known, targets = keys(4000), torch.zeros(4000, dtype=torch.int64)
    rest, _ = split_by_content(known, targets, 0.2, choice_of_test())
    validation = split_by_content(known[rest], targets[rest], 0.1, choice_of_validation(0))[1]
    assert len(validation) == pytest.approx(320, abs=70)
    other = split_by_content(known[rest], targets[rest], 0.1, choice_of_validation(1))[1]
    assert not torch.equal(validation, other)


def test_several_labels_are_not_stratified() -> None:
    second = split_by_content(keys(1000), torch.zeros(1000, 5), 0.2, choice_of_test())[1]
    assert len(second) == pytest.approx(200, abs=50)

"""Ways to load an epoch of 32 × 32 images: ours, torchvision's, and two batched ones in float32."""

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from datamodules.augmentations.crop_flip import CropFlip
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.loading import image_loader
from datamodules.memory.normalisation import Normaliser, Statistics
from datamodules.memory.order import EpochOrder

BATCH, PADDING, SIZE = 500, 2, 32
Epoch = Callable[[int], int]
"""Runs the epoch of this number, and returns the number of images."""
STATISTICS = Statistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def random_images(count: int) -> Images:
    """Make random images of ten classes."""
    pixels = torch.randint(
        0, 256, (count, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Images(pixels, torch.arange(count) % 10)


def ours(images: Images) -> Epoch:
    """Load as this project does: crop, flip and normalise batches of uint8 images."""
    dataset = ImageDataset(images)
    order = EpochOrder(dataset, seed=0)
    loader, crop, normalise = image_loader(dataset, order, BATCH), CropFlip(PADDING), Normaliser(STATISTICS)

    def epoch(number: int) -> int:
        order.set_epoch(number)
        return sum(len(normalise(crop(images, rows, 0, number))) for images, _, rows in loader)

    return epoch


class PillowDataset(Dataset[tuple[Tensor, int]]):
    """An array of images, each of which becomes a Pillow image, as in torchvision's CIFAR10."""

    def __init__(self, images: Images) -> None:
        self.data, self.targets = images.pixels.numpy(), images.targets.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIZE, PADDING, padding_mode="reflect"),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(*STATISTICS),
            ]
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.data[row])), self.targets[row]


def pillow(images: Images) -> Epoch:
    """Load with torchvision's usual transforms and a DataLoader without workers."""
    loader = DataLoader(PillowDataset(images), BATCH, shuffle=True)
    return lambda _: sum(len(images) for images, _ in loader)


def gather(images: Images) -> Epoch:
    """Crop and flip a whole float32 batch at a time by advanced indexing."""
    normal = Normaliser(STATISTICS, channels_last=False)(images.pixels.permute(0, 3, 1, 2))
    steps = torch.arange(SIZE)

    def epoch(_: int) -> int:
        done = 0
        for rows in torch.split(torch.randperm(len(normal)), BATCH):
            padded = torch.nn.functional.pad(normal[rows], [PADDING] * 4, mode="reflect")
            shifts = torch.randint(0, 2 * PADDING + 1, (2, len(rows), 1))
            ys, xs = shifts[0] + steps, shifts[1] + steps
            xs = torch.where(torch.rand(len(rows), 1) < 0.5, xs, xs.flip(1))
            batch = padded[torch.arange(len(rows)).view(-1, 1, 1), :, ys.unsqueeze(2), xs.unsqueeze(1)]
            done += len(batch)
        return done

    return epoch


def shift_by_shift(images: Images) -> Epoch:
    """Crop a whole epoch at once with one masked copy per shift, as airbench's loader does."""
    normal = Normaliser(STATISTICS, channels_last=False)(images.pixels.permute(0, 3, 1, 2))
    padded = torch.nn.functional.pad(normal, [PADDING] * 4, mode="reflect")
    flips = torch.rand(len(normal)) < 0.5
    places = range(2 * PADDING + 1)

    def epoch(number: int) -> int:
        y, x = torch.randint(0, len(places), (2, len(normal)))
        tall = padded.new_empty(len(normal), 3, SIZE, padded.shape[3])
        for place in places:
            tall[y == place] = padded[y == place, :, place : place + SIZE]
        cropped = torch.empty_like(normal)
        for place in places:
            cropped[x == place] = tall[x == place, :, :, place : place + SIZE]
        now = (flips ^ bool(number % 2)).view(-1, 1, 1, 1)
        epoch_of_images = torch.where(now, cropped.flip(3), cropped)
        return sum(len(epoch_of_images[rows]) for rows in torch.split(torch.randperm(len(normal)), BATCH))

    return epoch

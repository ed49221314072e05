"""CIFAR-10 from its official archive, which is downloaded if it is missing."""

import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datamodules.datasets.downloads import download_errors
from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Images
from datamodules.memory.normalisation import Statistics
from foundation.errors import UserError


class CIFAR10DataModule(ImageDataModule):
    """CIFAR-10: 60,000 colour images of 32 × 32 pixels in ten classes.

    ``val_share`` of each class of the 50,000 official training images is for validation, by default 5,000 in all. The
    10,000 official test images are opened only by ``test`` and ``predict``.

    Args:
        root: Folder that holds ``cifar-10-batches-py``. If that is missing, it is unpacked from
            ``cifar-10-python.tar.gz`` in this folder, or else downloaded, with torchvision's checksums.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Reference:
        A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """

    class_names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]  # noqa: RUF012
    image_size = (32, 32)
    channels = 3

    def __init__(self, root: str = "data", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.root = Path(root).expanduser()

    def prepare_data(self) -> None:
        """Download or unpack the images if a file is missing."""
        from torchvision.datasets import CIFAR10  # torchvision takes long to import

        names = [name for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list)]
        if not all((self.root / CIFAR10.base_folder / name).is_file() for name in names):
            what = f"CIFAR-10 is not in {self.root} and cannot be downloaded from {CIFAR10.url}"
            advice = (
                f"put {CIFAR10.filename} into {self.root}, or train on images in folders with "
                "--data configs/data/image_folder.yaml --data.root FOLDER."
            )
            with download_errors(what, advice):
                _fetch(self.root, names)

    def training_images(self) -> Images:
        """Read the five official training batches."""
        from torchvision.datasets import CIFAR10

        return _read(self.root / CIFAR10.base_folder, CIFAR10.train_list)

    def test_images(self) -> Images:
        """Read the official test batch."""
        from torchvision.datasets import CIFAR10

        return _read(self.root / CIFAR10.base_folder, CIFAR10.test_list)

    def data_statistics(self) -> Statistics:
        """Return the statistics over all pixels of the 50,000 training images."""
        return Statistics((0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784))


def _fetch(root: Path, names: list[str]) -> None:
    """Unpack into a temporary folder and move file by file, so that an interruption leaves no incomplete file."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity, extract_archive

    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
        archive = root / CIFAR10.filename
        if archive.exists():
            if not check_integrity(archive, CIFAR10.tgz_md5):
                raise RuntimeError(f"{archive} is not the official archive, or is incomplete")
            extract_archive(archive, temporary)
        else:
            CIFAR10(temporary, download=True)
        target = root / CIFAR10.base_folder
        target.mkdir(exist_ok=True)
        for name in (*names, CIFAR10.meta["filename"]):
            (Path(temporary) / CIFAR10.base_folder / name).replace(target / name)


def _read(folder: Path, files: list[tuple[str, str]]) -> Images:
    from torchvision.datasets.utils import check_integrity

    pixels, targets = [], []
    for name, checksum in files:
        file = folder / name
        if not check_integrity(file, checksum):
            what = "is not the official file" if file.exists() else "does not exist"
            raise UserError(f"{file} {what}: remove it, and the next run gets it again.")
        with file.open("rb") as stream:
            content = pickle.load(stream, encoding="latin1")  # safe: the checksum is that of the official file
        planes = torch.from_numpy(np.asarray(content["data"], dtype=np.uint8)).view(-1, 3, 32, 32)
        pixels.append(planes.permute(0, 2, 3, 1).contiguous())
        targets.append(torch.tensor(content["labels"], dtype=torch.int64))
    return Images(torch.cat(pixels), torch.cat(targets))

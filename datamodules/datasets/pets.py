"""Cats and dogs cut out by hand: the Oxford-IIIT Pet images with their trimaps."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.datasets.downloads import download_explained
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.masks import MaskDataModule
from datamodules.memory.split import stratified_split
from foundation.compat.torchvision import pet_archives
from foundation.errors import UserError
from foundation.files import replacing

FOLDER = "oxford-iiit-pet"  # as torchvision names it
PET, BACKGROUND, BORDER = 1, 2, 3  # in a trimap
UNLABELLED = 255
WAYS_OUT = (
    "put images.tar.gz and annotations.tar.gz of https://www.robots.ox.ac.uk/~vgg/data/pets there, or train on drawn "
    "shapes with --data configs/data/shape_masks.yaml."
)


class OxfordPetsDataModule(MaskDataModule):
    """7,349 images of cats and dogs; the target says of each pixel whether it shows the animal.

    ``val_share`` of each of the 37 breeds of the 3,680 official training images is for validation; the 3,669 official
    test images are opened by ``test`` and ``predict`` alone. Images and masks are brought to one size, decoded once
    and kept in ``.descent_cache`` beside them.

    Args:
        root: Where ``oxford-iiit-pet`` lies or, if it does not, is put: from ``images.tar.gz`` and
            ``annotations.tar.gz`` in that folder if they are there, else from a download (800 MB) with torchvision's
            checksums.
        size: Height and width, ≥ 8; the sides are scaled alone, whatever the image's shape.
        border: The strip between animal and background: a ``class`` of its own, or to be ``ignored`` (255), which
            leaves two classes, for which a loss over yes or no will do.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`; an augmentation moves the mask along.

    Raises:
        ValueError: If an argument is outside its range.

    Reference:
        O. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs", 2012.
    """

    channels: ClassVar[int] = 3  # type: ignore[misc]

    def __init__(
        self, root: str = "data", size: int = 64, border: Literal["class", "ignored"] = "class", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if size < 8:
            raise ValueError(f"size must be ≥ 8, got {size}.")
        if border not in ("class", "ignored"):
            raise ValueError(f"border must be 'class' or 'ignored', got {border!r}.")
        self.folder = Path(root).expanduser() / FOLDER
        self.size, self.border = size, border

    @property
    def class_names(self) -> list[str]:
        """Two or three."""
        return ["background", "pet", *(["border"] if self.border == "class" else [])]

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return self.size, self.size

    def prepare_data(self) -> None:
        """Download or unpack, in one process of each machine, if a file is missing."""
        if not complete(self.folder):
            what = f"The Oxford-IIIT Pet images are not in {self.folder} and cannot be had"
            with download_explained(what, WAYS_OUT):
                fetch(self.folder)

    def open(self, stage: str) -> None:
        """Open the test set for ``test`` and ``predict``, else the training set, split by breed."""
        if stage in ("test", "predict"):
            self.test_set = ImageDataset(self.test_images())
            return
        images, breeds = self.training_images(), listed(self.folder, "trainval")[1]
        names = [f"breed {number + 1}" for number in range(int(breeds.max()) + 1)]
        train, val = stratified_split(breeds, self.val_share, self.split_seed, names)
        self.train_set, self.val_set = ImageDataset(images, train), ImageDataset(images, val)

    def training_images(self) -> Images:
        """The official training and validation images."""
        return self._images("trainval")

    def test_images(self) -> Images:
        """The official test images."""
        return self._images("test")

    def _images(self, part: str) -> Images:
        pixels, trimaps = decoded(self.folder, part, self.size)
        classes = torch.zeros(256, dtype=torch.uint8)
        classes[PET], classes[BORDER] = 1, 2 if self.border == "class" else UNLABELLED
        return Images(pixels, classes[trimaps.int()])


def listed(folder: Path, part: str) -> tuple[list[str], Tensor]:
    """Names of the images of a part, and the breed of each, from 0."""
    lines = (folder / "annotations" / f"{part}.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [row[0] for row in rows], torch.tensor([int(row[1]) - 1 for row in rows])


def files_of(folder: Path, name: str) -> tuple[Path, Path]:
    """An image and its trimap."""
    return folder / "images" / f"{name}.jpg", folder / "annotations" / "trimaps" / f"{name}.png"


def complete(folder: Path) -> bool:
    """Whether every image that the lists name is there, with its trimap."""
    if not all((folder / "annotations" / f"{part}.txt").is_file() for part in ("trainval", "test")):
        return False
    names = [name for part in ("trainval", "test") for name in listed(folder, part)[0]]
    return all(file.is_file() for name in names for file in files_of(folder, name))


def fetch(folder: Path) -> None:
    """Unpack beside the place and move, so that whatever breaks, no half folder has the folder's name."""
    from torchvision.datasets.utils import download_url, extract_archive

    folder.mkdir(parents=True, exist_ok=True)
    for url, md5 in pet_archives():
        archive = folder / url.rpartition("/")[2]
        download_url(url, str(folder), md5=md5)  # not where the archive is there already
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as temporary:
            extract_archive(str(archive), temporary)
            name = archive.name.partition(".")[0]
            shutil.rmtree(folder / name, ignore_errors=True)
            (Path(temporary) / name).replace(folder / name)


def decoded(folder: Path, part: str, size: int) -> tuple[Tensor, Tensor]:
    """Images `(N, size, size, 3)` and trimaps `(N, size, size)`, uint8, from the cache or into it."""
    names, _ = listed(folder, part)
    files = [files_of(folder, name) for name in names]
    sizes = "\n".join(f"{file.name} {file.stat().st_size}" for pair in files for file in pair)
    key = hashlib.blake2b(sizes.encode(), digest_size=8).hexdigest()
    cache = folder / ".descent_cache" / f"{part}_{size}_{key}.pt"
    if not cache.is_file():
        print(f"decoding {len(files)} images into {cache}", flush=True)
        pixels = np.empty((len(files), size, size, 3), np.uint8)
        trimaps = np.empty((len(files), size, size), np.uint8)
        for row, (image, trimap) in enumerate(files):
            pixels[row], trimaps[row] = scaled(image, "RGB", size), scaled(trimap, "L", size)
        cache.parent.mkdir(exist_ok=True)
        with replacing(cache) as whole:
            torch.save((torch.from_numpy(pixels), torch.from_numpy(trimaps)), whole)
    found: tuple[Tensor, Tensor] = torch.load(cache, weights_only=True, mmap=True)
    return found


def scaled(path: Path, mode: Literal["RGB", "L"], size: int) -> "np.typing.NDArray[np.uint8]":
    """A file's pixels, smoothed where it is an image, each one's own value where it is a trimap.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            if mode == "RGB":
                image.draft(mode, (2 * size, 2 * size))
            plain = image.convert(mode)
    except (OSError, SyntaxError) as error:
        raise UserError(f"{path} cannot be read ({error}): remove it, and the next run unpacks it again.") from error
    how = Image.Resampling.BILINEAR if mode == "RGB" else Image.Resampling.NEAREST
    return np.asarray(plain.resize((size, size), how))

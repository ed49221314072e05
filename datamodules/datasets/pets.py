"""The Oxford-IIIT Pet data set for segmentation: images of cats and dogs with masks, downloaded if missing."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.datasets.downloads import download_errors
from datamodules.memory.images import Images
from datamodules.memory.masks import MaskDataModule
from datamodules.memory.split import stratified_split
from foundation.argument_checks import require_between, require_choice
from foundation.compat.torchvision import pet_archives
from foundation.errors import UserError
from foundation.files import replacing

FOLDER = "oxford-iiit-pet"  # as torchvision names it
PET, BACKGROUND, BORDER = 1, 2, 3  # values of a trimap
UNLABELLED = 255
ADVICE = (
    "put images.tar.gz and annotations.tar.gz from https://www.robots.ox.ac.uk/~vgg/data/pets there, or train on "
    "generated shapes with --data configs/data/shape_masks.yaml."
)


class OxfordPetsDataModule(MaskDataModule):
    """7,349 images of cats and dogs; the target says of each pixel whether it shows the animal.

    ``val_share`` of each of the 37 breeds of the 3,680 official training images is for validation; the 3,669 official
    test images are opened only by ``test`` and ``predict``. Images and masks are decoded and resized once, and cached
    in ``.descent_cache`` beside them.

    Args:
        root: Folder that holds ``oxford-iiit-pet``. If that is missing, it is unpacked from ``images.tar.gz`` and
            ``annotations.tar.gz`` in ``oxford-iiit-pet``, or else downloaded (800 MB), with torchvision's checksums.
        size: Height and width, ≥ 8; images are resized without keeping their aspect ratio.
        border: The strip between animal and background: a ``class`` of its own, or ``ignored`` (255), which leaves two
            classes, for which a binary loss can be used.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`; the augmentation moves the mask too.

    Raises:
        ValueError: If an argument is outside its range.

    Reference:
        O. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs", 2012.
    """

    channels = 3
    image_size = (64, 64)

    def __init__(
        self, root: str = "data", size: int = 64, border: Literal["class", "ignored"] = "class", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require_between("size", size, 8)
        require_choice("border", border, ("class", "ignored"))
        self.folder = Path(root).expanduser() / FOLDER
        self.image_size, self.border = (size, size), border

    @property
    def class_names(self) -> list[str]:
        """Background, pet and, as a class, the border."""
        return ["background", "pet", *(["border"] if self.border == "class" else [])]

    def prepare_data(self) -> None:
        """Download or unpack the images if a file is missing."""
        if not complete(self.folder):
            what = f"The Oxford-IIIT Pet images are not in {self.folder} and cannot be downloaded"
            with download_errors(what, ADVICE):
                fetch(self.folder)

    def split_rows(self, targets: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
        """Split the training images stratified by breed."""
        breeds = listed(self.folder, "trainval")[1]
        names = [f"breed {number + 1}" for number in range(int(breeds.max()) + 1)]
        return stratified_split(breeds, share, seed, names)

    def training_images(self) -> Images:
        """Return the official training and validation images."""
        return self._images("trainval")

    def test_images(self) -> Images:
        """Return the official test images."""
        return self._images("test")

    def _images(self, part: str) -> Images:
        pixels, trimaps = decoded(self.folder, part, self.image_size[0])
        classes = torch.zeros(256, dtype=torch.uint8)
        classes[PET], classes[BORDER] = 1, 2 if self.border == "class" else UNLABELLED
        return Images(pixels, classes[trimaps.int()])


def listed(folder: Path, part: str) -> tuple[list[str], Tensor]:
    """Read the names of the images of a part, and the breed of each, from 0."""
    lines = (folder / "annotations" / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return [row[0] for row in rows], torch.tensor([int(row[1]) - 1 for row in rows])


def files_of(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the files of an image and its trimap."""
    return folder / "images" / f"{name}.jpg", folder / "annotations" / "trimaps" / f"{name}.png"


def complete(folder: Path) -> bool:
    """Return whether all images of the official lists and their trimaps exist."""
    if not all((folder / "annotations" / f"{part}.txt").is_file() for part in ("trainval", "test")):
        return False
    names = [name for part in ("trainval", "test") for name in listed(folder, part)[0]]
    return all(file.is_file() for name in names for file in files_of(folder, name))


def fetch(folder: Path) -> None:
    """Download, unpack into a temporary folder and move, so that an interruption leaves no incomplete folder."""
    from torchvision.datasets.utils import download_url, extract_archive

    folder.mkdir(parents=True, exist_ok=True)
    for url, md5 in pet_archives():
        archive = folder / url.rpartition("/")[2]
        download_url(url, str(folder), md5=md5)  # does nothing if the archive exists
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=folder) as temporary:
            extract_archive(str(archive), temporary)
            name = archive.name.partition(".")[0]
            shutil.rmtree(folder / name, ignore_errors=True)
            (Path(temporary) / name).replace(folder / name)


def decoded(folder: Path, part: str, size: int) -> tuple[Tensor, Tensor]:
    """Return images `(N, size, size, 3)` and trimaps `(N, size, size)`, uint8, from the cache, which it fills first."""
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
            pixels[row], trimaps[row] = resized(image, "RGB", size), resized(trimap, "L", size)
        cache.parent.mkdir(exist_ok=True)
        with replacing(cache) as part_file:
            torch.save((torch.from_numpy(pixels), torch.from_numpy(trimaps)), part_file)
    found: tuple[Tensor, Tensor] = torch.load(cache, weights_only=True, mmap=True)
    return found


def resized(path: Path, mode: Literal["RGB", "L"], size: int) -> "np.typing.NDArray[np.uint8]":
    """Read and resize a file: bilinearly if it is an image (RGB), to the nearest pixel if it is a trimap (L).

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        with Image.open(path) as image:
            if mode == "RGB":
                image.draft(mode, (2 * size, 2 * size))
            plain = image.convert(mode)
    except (OSError, SyntaxError) as error:
        raise UserError(f"{path} cannot be read ({error}): remove it, and the next run unpacks it again.") from error
    method = Image.Resampling.BILINEAR if mode == "RGB" else Image.Resampling.NEAREST
    return np.asarray(plain.resize((size, size), method))

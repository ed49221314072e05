"""LightningDataModules: pictures held in memory as uint8, fetched and augmented a whole batch at a time."""

from datamodules.augmentation import Augmentation, Chain, CropFlip
from datamodules.cifar10 import CIFAR10DataModule
from datamodules.digits import DigitsDataModule
from datamodules.image_folder import ImageFolderDataModule
from datamodules.in_memory import ImageDataModule
from datamodules.pictures import PictureDataset, Pictures

__all__ = [
    "Augmentation",
    "CIFAR10DataModule",
    "Chain",
    "CropFlip",
    "DigitsDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "PictureDataset",
    "Pictures",
]

"""LightningDataModules: pictures held in memory as uint8, fetched and augmented a whole batch at a time."""

from datamodules.augmentation import Augmentation, Chain, CropFlip
from datamodules.digits import DigitsDataModule
from datamodules.in_memory import ImageDataModule
from datamodules.pictures import PictureDataset, Pictures

__all__ = [
    "Augmentation",
    "Chain",
    "CropFlip",
    "DigitsDataModule",
    "ImageDataModule",
    "PictureDataset",
    "Pictures",
]

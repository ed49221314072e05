"""LightningDataModules for images in memory, image folders and tables, and batched augmentations.

Open `memory/data_module.py` first: `ImageDataModule` is the base of all data sources, and says how to write one.
"""

from datamodules.augmentations.base import Augmentation, Chain
from datamodules.augmentations.color_jitter import ColorJitter
from datamodules.augmentations.crop_flip import CropFlip
from datamodules.augmentations.cutout import Cutout
from datamodules.augmentations.mixing import CutMix, MixUp
from datamodules.augmentations.progressive_resize import ProgressiveResize
from datamodules.augmentations.random_changes import RandAugment, TrivialAugment
from datamodules.augmentations.random_erasing import RandomErasing
from datamodules.augmentations.random_resized_crop import RandomResizedCrop
from datamodules.datasets.cifar10 import CIFAR10DataModule
from datamodules.datasets.digits import DigitsDataModule, ImbalancedDigitsDataModule
from datamodules.datasets.linear_regression import LinearRegressionDataModule
from datamodules.datasets.pets import OxfordPetsDataModule
from datamodules.datasets.shapes import ShapeLabelsDataModule, ShapeMasksDataModule
from datamodules.datasets.sklearn_tables import BreastCancerDataModule, DiabetesDataModule
from datamodules.folder.data_module import ImageFolderDataModule
from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.masks import MaskDataModule
from datamodules.memory.pruning.method import Pruning
from datamodules.memory.table import NumberTable, Table, TableDataModule

__all__ = [
    "Augmentation",
    "BreastCancerDataModule",
    "CIFAR10DataModule",
    "Chain",
    "ColorJitter",
    "CropFlip",
    "CutMix",
    "Cutout",
    "DiabetesDataModule",
    "DigitsDataModule",
    "ImageDataModule",
    "ImageDataset",
    "ImageFolderDataModule",
    "Images",
    "ImbalancedDigitsDataModule",
    "LinearRegressionDataModule",
    "MaskDataModule",
    "MixUp",
    "NumberTable",
    "OxfordPetsDataModule",
    "ProgressiveResize",
    "Pruning",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "ShapeLabelsDataModule",
    "ShapeMasksDataModule",
    "Table",
    "TableDataModule",
    "TrivialAugment",
]

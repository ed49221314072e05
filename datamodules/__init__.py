"""LightningDataModules: pictures held in memory as uint8, fetched and augmented a whole batch at a time."""

from datamodules.augmentation import Augmentation, Chain, CropFlip
from datamodules.breast_cancer import BreastCancerDataModule
from datamodules.cifar10 import CIFAR10DataModule
from datamodules.cutout import Cutout
from datamodules.diabetes import DiabetesDataModule
from datamodules.digits import DigitsDataModule
from datamodules.image_folder import ImageFolderDataModule
from datamodules.imbalanced_digits import ImbalancedDigitsDataModule
from datamodules.in_memory import ImageDataModule
from datamodules.linear_regression import LinearRegressionDataModule
from datamodules.masks import MaskDataModule
from datamodules.mixing import CutMix, MixUp
from datamodules.pets import OxfordPetsDataModule
from datamodules.pictures import PictureDataset, Pictures
from datamodules.progressive_resize import ProgressiveResize
from datamodules.shape_pictures import ShapeLabelsDataModule, ShapeMasksDataModule
from datamodules.table import NumberTable, Table, TableDataModule

__all__ = [
    "Augmentation",
    "BreastCancerDataModule",
    "CIFAR10DataModule",
    "Chain",
    "CropFlip",
    "CutMix",
    "Cutout",
    "DiabetesDataModule",
    "DigitsDataModule",
    "ImageDataModule",
    "ImageFolderDataModule",
    "ImbalancedDigitsDataModule",
    "LinearRegressionDataModule",
    "MaskDataModule",
    "MixUp",
    "NumberTable",
    "OxfordPetsDataModule",
    "PictureDataset",
    "Pictures",
    "ProgressiveResize",
    "ShapeLabelsDataModule",
    "ShapeMasksDataModule",
    "Table",
    "TableDataModule",
]

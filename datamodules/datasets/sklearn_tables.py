"""Progression of diabetes, which ships inside scikit-learn: a real regression without a download."""

from typing import Any, ClassVar

import torch

from datamodules.memory.table import NumberTable, Table, TableDataModule


class BreastCancerDataModule(TableDataModule):
    """569 tumours, 30 measurements each, 212 malignant (class 1) and 357 benign (class 0).

    A fixed fifth of each class is the test set (113 rows); of the rest ``val_share`` is for validation.

    Args:
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Example:
        >>> data = BreastCancerDataModule(batch_size=50)
        >>> data.setup("fit")
        >>> inputs, targets = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> inputs.shape, data.class_names
        (torch.Size([50, 30]), ['benign', 'malignant'])

    Reference:
        W. Wolberg, O. Mangasarian, N. Street, W. Street, "Breast Cancer Wisconsin (Diagnostic)", UCI, 1993.
    """

    class_names: ClassVar[list[str]] = ["benign", "malignant"]  # type: ignore[misc]
    channels: ClassVar[int] = 30  # type: ignore[misc]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def table(self) -> Table:
        """All tumours; scikit-learn's class 1 is benign, here the finding is what one asks for."""
        from sklearn.datasets import load_breast_cancer  # scikit-learn takes long to import

        bunch = load_breast_cancer()
        return Table(torch.from_numpy(bunch.data).float(), 1 - torch.from_numpy(bunch.target).long())


class DiabetesDataModule(NumberTable):
    """442 patients, 10 measurements each, and how far the disease had progressed a year later: 25 to 346.

    A fixed fifth is the test set (88 rows); of the rest ``val_share`` is for validation. A linear model explains about
    half of the variance; more is hardly possible.

    Args:
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Example:
        >>> data = DiabetesDataModule(batch_size=50)
        >>> data.setup("fit")
        >>> inputs, targets = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> inputs.shape, targets.dtype
        (torch.Size([50, 10]), torch.float32)

    Reference:
        B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, "Least angle regression", 2004.
    """

    channels: ClassVar[int] = 10  # type: ignore[misc]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def table(self) -> Table:
        """All patients."""
        from sklearn.datasets import load_diabetes  # scikit-learn takes long to import

        bunch = load_diabetes(scaled=False)
        return Table(torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).float())

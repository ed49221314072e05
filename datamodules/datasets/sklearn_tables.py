"""Two tables that are bundled with scikit-learn: breast cancer (classes) and diabetes (a number).

Their arguments are those of :class:`~datamodules.memory.data_module.ImageDataModule`.
"""

import torch

from datamodules.memory.table import NumberTable, Table, TableDataModule


class BreastCancerDataModule(TableDataModule):
    """569 tumours, 30 measurements each, 212 malignant (class 1) and 357 benign (class 0).

    A fixed fifth of each class is the test set (113 rows); ``val_share`` of the rest is for validation.

    Example:
        >>> data = BreastCancerDataModule(batch_size=50)
        >>> data.setup("fit")
        >>> inputs, targets = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> inputs.shape, data.class_names
        (torch.Size([50, 30]), ['benign', 'malignant'])

    Reference:
        W. Wolberg, O. Mangasarian, N. Street, W. Street, "Breast Cancer Wisconsin (Diagnostic)", UCI, 1993.
    """

    class_names = ["benign", "malignant"]  # noqa: RUF012
    channels = 30

    def table(self) -> Table:
        """Return all tumours, malignant ones as the positive class (in scikit-learn it is benign)."""
        from sklearn.datasets import load_breast_cancer  # scikit-learn takes long to import

        bunch = load_breast_cancer()
        return Table(torch.from_numpy(bunch.data).float(), 1 - torch.from_numpy(bunch.target).long())


class DiabetesDataModule(NumberTable):
    """442 patients, 10 measurements each, and the progression of the disease after one year: 25 to 346.

    A fixed fifth is the test set (88 rows); ``val_share`` of the rest is for validation. A linear model explains about
    half of the variance, and little more is possible.

    Example:
        >>> data = DiabetesDataModule(batch_size=50)
        >>> data.setup("fit")
        >>> inputs, targets = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> inputs.shape, targets.dtype
        (torch.Size([50, 10]), torch.float32)

    Reference:
        B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, "Least angle regression", 2004.
    """

    channels = 10

    def table(self) -> Table:
        """Return all patients."""
        from sklearn.datasets import load_diabetes  # scikit-learn takes long to import

        bunch = load_diabetes(scaled=False)
        return Table(torch.from_numpy(bunch.data).float(), torch.from_numpy(bunch.target).float())

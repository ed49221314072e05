"""Data that prepares images as a pretrained network expects them."""

from abc import abstractmethod
from typing import Any

from lightning.pytorch import LightningDataModule

from datamodules.memory.normalisation import Statistics
from foundation.network_input import NetworkInput, network_input_of


class FollowsNetwork(LightningDataModule):
    """Base class of data that normalises as the network was pretrained, where no mean and deviation are given."""

    network_input: NetworkInput | None = None

    @property
    @abstractmethod
    def channels(self) -> int:
        """1 for grey, 3 for colour."""

    @abstractmethod
    def data_statistics(self) -> Statistics:
        """Compute mean and standard deviation of the training images."""

    def default_statistics(self) -> Statistics:
        """Return the mean and standard deviation that the network was pretrained with, else those of the data."""
        known = self.network_input
        return self.data_statistics() if known is None else Statistics(*known.statistics(self.channels))

    def follow(self, module: Any) -> None:
        """Prepare images as the network of a LightningModule was pretrained with them, where nothing else is given."""
        self.network_input = network_input_of(module)

    def follow_trainer(self) -> None:
        """Follow the network of the trainer's module, if there is one."""
        module = getattr(self.trainer, "lightning_module", None)
        if module is not None:
            self.follow(module)

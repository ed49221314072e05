"""Networks: any `torch.nn.Module` that maps a batch of inputs to logits."""

from lightning_modules.networks.library import TimmNetwork, TorchvisionNetwork
from lightning_modules.networks.resnet8 import ResNet8
from lightning_modules.networks.resnet18_cifar import ResNet18Cifar
from lightning_modules.networks.small_cnn import SmallCNN

__all__ = ["ResNet8", "ResNet18Cifar", "SmallCNN", "TimmNetwork", "TorchvisionNetwork"]

"""Networks, each a `torch.nn.Module` that maps a batch of inputs to outputs; open `small_cnn.py` first."""

from lightning_modules.networks.airbench import AirbenchNet
from lightning_modules.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from lightning_modules.networks.fine_tuned import FineTunedNetwork
from lightning_modules.networks.mlp import MLP
from lightning_modules.networks.pretrained import TimmNetwork, TorchvisionNetwork
from lightning_modules.networks.resnet8 import ResNet8
from lightning_modules.networks.resnet18_cifar import ResNet18Cifar
from lightning_modules.networks.small_cnn import SmallCNN
from lightning_modules.networks.unet import UNet

__all__ = [
    "MLP",
    "AirbenchNet",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "FineTunedNetwork",
    "ResNet8",
    "ResNet18Cifar",
    "SmallCNN",
    "TimmNetwork",
    "TorchvisionNetwork",
    "UNet",
]

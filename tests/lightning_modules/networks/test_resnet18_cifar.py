import torch
from torchvision.models import resnet18

from lightning_modules.networks import ResNet18Cifar


def test_differs_from_torchvision_in_the_stem_and_the_head_only() -> None:
    ours = {key: value.shape for key, value in ResNet18Cifar(num_classes=10).state_dict().items()}
    theirs = {key: value.shape for key, value in resnet18(num_classes=10).state_dict().items()}
    assert ours.keys() == theirs.keys()
    assert {key for key in ours if ours[key] != theirs[key]} == {"conv1.weight"}


def test_parameters_are_torchvisions_less_the_smaller_stem_and_head() -> None:
    # 11,689,512 is the number that torchvision documents for 1,000 classes.
    expected = 11_689_512 - 64 * 3 * (7 * 7 - 3 * 3) - (512 + 1) * (1000 - 10)
    assert sum(p.numel() for p in ResNet18Cifar().parameters()) == expected == 11_173_962


def test_keeps_the_resolution_up_to_the_second_stage() -> None:
    network = ResNet18Cifar()
    shapes = []
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        stage.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    network(torch.zeros(2, 3, 32, 32))
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]

"""Images of any normalisation come to [−1, 1]; the constants are made once."""

import pytest
import torch

from datamodules.memory.normalisation import Normaliser, Standardiser, Statistics
from lightning_modules.adversarial.centring import Centring

STATISTICS = Statistics((0.3, 0.4, 0.5), (0.1, 0.2, 0.3))


def test_undoes_the_normalisation() -> None:
    pixels = torch.randint(0, 256, (5, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    centred = Centring()(Normaliser(STATISTICS)(pixels), STATISTICS)
    torch.testing.assert_close(centred, pixels / 127.5 - 1, rtol=0, atol=1e-5)
    halves = Statistics((0.5,), (0.5,))
    images = torch.rand(2, 1, 2, 2)
    assert Centring()(images, halves) is images
    assert Centring()(images, None) is images


@pytest.mark.parametrize("kind", ["centring", "standardiser"])
def test_constants_are_made_once_for_each_device(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making them copies from the host, which stops a GPU."""
    centring, standardiser = Centring(), Standardiser(STATISTICS)

    def apply(device: str) -> torch.Tensor:
        rows = torch.zeros(2, 3, device=device)
        return standardiser(rows) if kind == "standardiser" else centring(rows[:, :, None, None], STATISTICS)

    for device in ("cpu", "meta"):
        assert apply(device).device.type == device
    monkeypatch.setattr(torch, "tensor", lambda *a, **k: pytest.fail("a constant is made in a step"))
    apply("cpu" if kind == "standardiser" else "meta")

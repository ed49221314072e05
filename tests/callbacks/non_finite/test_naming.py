"""The module is named behind which a NaN appears: in towers of any order, in shared and in checkpointed layers."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from callbacks import BlackBox, ExactResume
from callbacks.non_finite.black_box import NonFiniteError
from callbacks.non_finite.named_batches import as_objects, as_plain
from callbacks.non_finite.replay import read_black_box, replay
from callbacks.non_finite.values import containers_copied
from foundation.errors import UserError
from tests.anyone.data import Pair, Points, two_inputs
from tests.anyone.running import Plant, fit
from tests.anyone.structures import TwoEncoders
from tests.anyone.styles import STYLES, Style

pytestmark = pytest.mark.filterwarnings("ignore")


class Towers(TwoEncoders):
    """Three towers, called and joined in a given order."""

    order: tuple[str, ...] = ("image", "text", "sound")

    def __init__(self) -> None:
        super().__init__()
        self.sound = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.net = nn.Linear(24, 3)  # type: ignore[assignment]

    def forward(self, x: Any) -> Tensor:
        x = {**x, "sound": x["image"]}
        output: Tensor = self.net(torch.cat([getattr(self, name)(x[name]) for name in self.order], dim=1))
        return output


def said(folder: Path, style: Style, kind: str, **options: Any) -> str:
    with pytest.raises(NonFiniteError) as caught:
        fit(style, folder, [Plant(style.place, kind), ExactResume(), BlackBox()], max_epochs=1, limit_val_batches=0)
    return str(caught.value)


@pytest.mark.parametrize("order", list(permutations(("image", "text", "sound"))))
def test_the_tower_is_named_in_every_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    kind = type("Ordered", (Towers,), {"order": order})
    text = said(tmp_path, Style(kind, two_inputs, place="image.0"), "backward")
    assert "step 3, epoch 1: NaN first in the gradient from the backward of image.0." in text


class Fails(LightningModule):
    """A module whose loss is NaN at its third step, and whose step can run only once."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.seen = nn.Linear(6, 3), set()  # type: ignore[var-annotated]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if batch_idx in self.seen:
            raise KeyError("y")
        self.seen.add(batch_idx)
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        return loss * float("nan") if batch_idx == 2 else loss

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_what_is_known_comes_before_the_failure_of_the_repeated_step(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError) as caught:
        fit(Style(Fails), tmp_path, [BlackBox()])
    assert str(caught.value).startswith(
        "step 3, epoch 1: NaN in the loss; where it comes from is not known, because the repeated step failed"
        " (KeyError: 'y'). The weights are those from before the step."
    )


def test_a_sum_of_steps_in_manual_optimization_is_repeated_whole(tmp_path: Path) -> None:
    """The module steps at every second batch; the NaN arises in the first of the two."""
    style = STYLES["own clipping and accumulation"]
    assert "NaN first in the output of net (Sequential)" in said(tmp_path, style, "forward")


def test_a_mask_with_infinities_is_no_fault(tmp_path: Path) -> None:
    module = fit(STYLES["a transformer with a causal mask"], tmp_path, [BlackBox()], max_epochs=1)
    assert torch.isinf(module.mask).any()  # type: ignore[arg-type, type-var]


@pytest.mark.parametrize("name", ["batches of a dataclass", "batches of a named tuple", "batch.pop in the step"])
def test_a_batch_of_any_kind_is_repeated_from_the_file(tmp_path: Path, name: str) -> None:
    style = STYLES[name]
    text = said(tmp_path, style, "parameter")
    module = style.module()
    found = replay(tmp_path / "black_box.pt", module, accelerator="cpu")
    assert "NaN in the weights net.0.weight" in text
    assert str(found) == str(read_black_box(tmp_path / "black_box.pt")["fault"])


def test_batches_as_plain_values() -> None:
    batch = {"a": [Points(torch.zeros(1), torch.ones(1)), Pair(torch.zeros(2), torch.ones(2))]}
    there_and_back = as_objects(as_plain(batch))
    assert [type(each) for each in there_and_back["a"]] == [Points, Pair]
    assert torch.equal(there_and_back["a"][0].y, torch.ones(1))
    with pytest.raises(UserError, match="the class Missing of nowhere, which is not imported"):
        as_objects({"class of the batch": "nowhere:Missing", "fields": {}})


def test_containers_are_copied_but_not_tensors() -> None:
    batch = Points(torch.zeros(1), torch.ones(1))
    kept = containers_copied([batch, {"x": batch.x}])
    assert kept[0] is not batch
    assert kept[0].x is batch.x is kept[1]["x"]

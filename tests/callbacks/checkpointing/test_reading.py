"""Reading a checkpoint: damage is found and described, pickled code does not run."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks import BackgroundCheckpointIO, DurableCheckpointIO
from callbacks.checkpointing.reading import newest_valid, read_checkpoint, step_of
from callbacks.checkpointing.seal import SEAL_SIZE, damage
from foundation.errors import UserError
from lightning_modules.weights.mismatch import describe_mismatch


def saved(path: Path, value: float = 1.0) -> Path:
    DurableCheckpointIO().save_checkpoint({"state_dict": {"w": torch.full((1000,), value)}}, path)
    return path


def load(path: Path, **options: Any) -> dict[str, Any]:
    return DurableCheckpointIO().load_checkpoint(path, **options)


def test_round_trip_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "checkpoints" / "last.ckpt")
    assert torch.equal(load(path)["state_dict"]["w"], torch.ones(1000))
    assert torch.equal(torch.load(path, weights_only=True)["state_dict"]["w"], torch.ones(1000))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_of_a_gpu_is_read_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")  # as if the tensor lay there
        DurableCheckpointIO().save_checkpoint({"state_dict": {"w": torch.ones(3)}, "global_step": 7}, path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        torch.load(path, weights_only=True)
    assert step_of(path) == 7
    for content in (read_checkpoint(path), load(path), load(path, map_location="cpu")):
        assert content["state_dict"]["w"].equal(torch.ones(3))
        assert content["state_dict"]["w"].is_cpu


def test_every_flipped_bit_and_every_cut_is_found(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.ckpt").read_bytes()
    path = tmp_path / "last.ckpt"
    for place in range(0, len(whole) - SEAL_SIZE, 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert damage(path), place
        path.write_bytes(whole[:place])
        assert damage(path), place
    path.write_bytes(whole)
    assert damage(path) == ""


def test_flipped_bit_that_torch_loads_without_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.ckpt", 0.0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["state_dict"]["w"].count_nonzero() == 1
    with pytest.raises(UserError, match=r"last.ckpt is damaged: its content does not match the hash"):
        load(path)


def test_the_error_names_the_newest_valid_checkpoint(tmp_path: Path) -> None:
    path = saved(tmp_path / "last.ckpt")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"cut short.* There is no valid checkpoint beside it"):
        load(path)
    best = saved(tmp_path / "best.ckpt")
    with pytest.raises(UserError, match=r"The newest valid checkpoint beside it is .*best.ckpt"):
        load(path)
    assert newest_valid(tmp_path) == best


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"checkpoint .*gone.ckpt does not exist\. There is no valid checkpoint"
    ):
        load(tmp_path / "gone.ckpt")


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "it is empty"), (b"epoch,loss\n" * 50, "was never a checkpoint")]
)
def test_not_a_checkpoint(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "metrics.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(path)


def test_archive_without_a_state_dict(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(UserError, match="expected a dict with a state_dict, found list"):
        load(tmp_path / "list.ckpt")


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_pickled_code_is_refused_by_default(tmp_path: Path) -> None:
    path = tmp_path / "evil.ckpt"
    DurableCheckpointIO().save_checkpoint({"state_dict": {}, "hello": Payload(tmp_path / "ran")}, path)
    for flag in (None, True):
        with pytest.raises(UserError, match=r"could run code.*--weights_only=false") as caught:
            load(path, weights_only=flag)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    load(path, weights_only=False)
    assert (tmp_path / "ran").exists()


def test_checkpoint_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "plain.ckpt"
    torch.save({"state_dict": {}, "epoch": 1, "w": torch.ones(1000)}, path)
    assert damage(path) == ""
    assert load(path)["epoch"] == 1
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    path.write_bytes(content)
    assert "does not match its checksum" in damage(path)


def test_a_mismatch_names_at_most_five_layers() -> None:
    old = torch.nn.Sequential(*(torch.nn.Linear(1, 1, bias=False) for _ in range(8))).state_dict()
    text = describe_mismatch(old, {"0.weight": torch.zeros(2, 1), "head.weight": torch.zeros(1)})
    assert text == (
        "of another shape: 0.weight (1, 1) in the checkpoint, (2, 1) in the network; only in the network: head.weight;"
        " only in the checkpoint: 1.weight, 2.weight, 3.weight, 4.weight, 5.weight and 2 more"
    )
    assert describe_mismatch(old, old) == ""


def test_zip_archive_of_another_program(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        archive.writestr("hello", "world")
    with pytest.raises(UserError, match=r"x.ckpt is not a checkpoint of torch: "):
        load(tmp_path / "x.ckpt")


def test_a_background_save_copies_the_values_at_once_and_reuses_its_memory(tmp_path: Path) -> None:
    weight, path = torch.zeros(4), tmp_path / "last.ckpt"
    io = BackgroundCheckpointIO()
    taken = []
    for value in (1.0, 2.0):
        weight.fill_(value)
        io.save_checkpoint({"state_dict": {"w": weight}}, path)
        taken.append(io._buffers[0].data_ptr())
        weight.fill_(-1.0)
        assert io.load_checkpoint(path)["state_dict"]["w"].tolist() == [value] * 4
    assert taken[0] == taken[1] != weight.data_ptr()
    io.teardown()

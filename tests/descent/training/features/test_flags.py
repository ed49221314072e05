"""Flags of the Trainer that contradict each other are refused before anything is built."""

import pytest

from descent.training.features.flags import check_flags, check_that_it_trains
from descent.training.trainer import Trainer
from foundation.errors import UserError
from tests.descent.helpers import SHORT, refused, run


@pytest.mark.parametrize("unit", ["epochs", "steps"])
def test_the_least_length_is_not_above_the_greatest(unit: str) -> None:
    with pytest.raises(UserError, match=f"min_{unit} 3 is above trainer.max_{unit} 2"):
        check_flags({f"min_{unit}": 3, f"max_{unit}": 2})
    check_flags({f"min_{unit}": 3, f"max_{unit}": 3})
    check_flags({f"min_{unit}": 3, f"max_{unit}": -1})


def test_several_nodes_need_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UserError, match="nothing says where the other nodes are: start the run with torchrun"):
        Trainer(num_nodes=2, accelerator="cpu", devices=1, logger=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    check_flags({"num_nodes": 2})


@pytest.mark.parametrize("flag", ["max_epochs", "max_steps", "limit_train_batches"])
def test_a_fit_that_trains_nothing_is_refused(flag: str) -> None:
    with pytest.raises(UserError, match=rf"trainer.{flag} 0 trains nothing: descent validate"):
        check_that_it_trains({flag: 0})
    check_that_it_trains({flag: 0, "fast_dev_run": True})
    check_that_it_trains({flag: None})


def test_barebones_is_refused_by_the_command_and_possible_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    error = refused([*SHORT, "--trainer.barebones=true"], capsys)
    assert error.startswith("trainer.barebones turns off logs, metrics and checkpoints")
    assert Trainer(barebones=True, accelerator="cpu").progress_bar_callback is None


@pytest.mark.parametrize("devices", ["0", "-1", "[1]"])
def test_devices_on_the_cpu_are_a_number(devices: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused([*SHORT, f"--trainer.devices={devices}"], capsys)
    assert error.startswith("trainer.devices on the CPU is a number of processes between 1 and the ")
    assert error.endswith(f"got {devices}.")


def test_too_many_devices_are_refused_without_a_gpu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    for accelerator in ("cpu", "auto"):
        with pytest.raises(UserError, match=r"trainer.devices asks for 777 processes on the CPU"):
            Trainer(accelerator=accelerator, devices=777, logger=False)


def test_without_checkpoints_a_run_ends_as_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    done = run([*SHORT, "--trainer.enable_checkpointing=false"])
    assert done.trainer.global_step == 6
    assert not list(done.run.folder.rglob("*.ckpt"))
    assert (done.run.folder / "config.yaml").is_file()
    assert "nothing to save with" not in capsys.readouterr().err


def test_a_model_registry_is_refused() -> None:
    with pytest.raises(UserError, match=r"upload checkpoints/best\.ckpt"):
        Trainer(model_registry="name", accelerator="cpu", logger=False)


def test_the_profiler_of_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descent.training.features.flags.find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package torch_xla"):
        Trainer(profiler="xla", accelerator="cpu", logger=False)

"""Private parts of Lightning work as `foundation.compat.lightning` expects; a failure here means Lightning changed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy

from foundation.compat.lightning import (
    HOOK_NAME,
    BatchSizeSettings,
    CheckpointWithLast,
    QuickHookNames,
    ScriptLauncher,
    ask_for_sigterm_again,
    batch_size_settings,
    closes_window,
    hooks_skipped,
    leave_sigterm_to_callback,
    let_ddp_find_unused_parameters,
    loaded_checkpoint,
    loads_unasked,
    logged_step,
    process_timeout,
    replace_script_launcher,
    set_process_timeout,
    shard_over_all_processes,
    trainer_of,
    trainer_variables,
)

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "logger": False,
}


def test_a_module_has_the_trainer_that_fits_it_and_none_before(tmp_path: Path) -> None:
    module = BoringModel()
    assert trainer_of(module) is None
    trainer = Trainer(default_root_dir=tmp_path, fast_dev_run=1, **QUIET)
    trainer.fit(module)
    assert trainer_of(module) is trainer


def test_the_trainer_names_the_running_hook_in_the_attribute_that_is_stored_quickly(tmp_path: Path) -> None:
    names = []

    class Module(QuickHookNames, BoringModel):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            names.append(vars(self)[HOOK_NAME])
            return super().training_step(batch, batch_idx)

    module = Module()
    assert HOOK_NAME in vars(BoringModel())
    Trainer(fast_dev_run=1, default_root_dir=tmp_path, accelerator="cpu", logger=False).fit(module)
    assert names == ["training_step"]
    assert isinstance(module.layer, torch.nn.Linear)


@pytest.mark.parametrize("kind", [DDPStrategy, FSDPStrategy, ModelParallelStrategy])
def test_the_timeout_that_a_strategy_was_given_can_be_read_and_set(kind: type[Any]) -> None:
    assert process_timeout(kind(timeout=timedelta(seconds=7))) == timedelta(seconds=7), "`_timeout` of strategies"
    strategy = kind()
    set_process_timeout(strategy, timedelta(seconds=8))
    assert process_timeout(strategy) == timedelta(seconds=8)


def test_a_strategy_with_one_process_has_no_timeout() -> None:
    assert process_timeout(SingleDeviceStrategy(torch.device("cpu"))) is None


def test_the_timeout_reaches_the_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "lightning.pytorch.strategies.ddp._init_dist_connection", lambda *_, **options: seen.update(options)
    )
    strategy = DDPStrategy(parallel_devices=[torch.device("cpu")], cluster_environment=LightningEnvironment())
    set_process_timeout(strategy, timedelta(seconds=9))
    strategy.setup_distributed()
    assert seen["timeout"] == timedelta(seconds=9), "DDPStrategy no longer takes `_timeout` for its process group"


def test_a_model_parallel_strategy_shards_over_all_processes() -> None:
    strategy = ModelParallelStrategy(tensor_parallel_size=1)
    shard_over_all_processes(strategy, 6)
    assert strategy._data_parallel_size == 6
    chosen = ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=3)
    shard_over_all_processes(chosen, 6)
    assert (chosen._data_parallel_size, chosen._tensor_parallel_size) == (2, 3)


def test_ddp_is_made_with_find_unused_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        "lightning.pytorch.strategies.ddp.DistributedDataParallel", lambda module, **options: seen.update(options)
    )
    for strategy in (DDPStrategy(), DDPStrategy(find_unused_parameters=False)):
        strategy.parallel_devices = [torch.device("cpu")]
        strategy.cluster_environment = LightningEnvironment()
        let_ddp_find_unused_parameters(strategy)
        strategy._setup_model(torch.nn.Linear(1, 1))
        assert seen["find_unused_parameters"] is True, "DDPStrategy no longer makes DDP of `_ddp_kwargs`"
    let_ddp_find_unused_parameters(SingleDeviceStrategy(torch.device("cpu")))


def test_the_script_launcher_of_a_strategy_is_replaced() -> None:
    trainer = Trainer(devices=2, strategy="ddp", **QUIET)
    replace_script_launcher(trainer.strategy, ScriptLauncher)
    launcher = trainer.strategy.launcher
    assert type(launcher) is ScriptLauncher, "DDP no longer starts its processes with `_SubprocessScriptLauncher`"
    assert (launcher.num_processes, launcher.num_nodes, launcher.procs) == (2, 1, [])


def test_a_launcher_starts_a_process_for_each_further_device(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(command: list[str], env: dict[str, str], **options: Any) -> object:
        started.append(env["LOCAL_RANK"])
        return object()

    monkeypatch.setattr("subprocess.Popen", start)
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "0")
    launcher = ScriptLauncher(LightningEnvironment(), num_processes=3, num_nodes=1)
    launcher.start_other_processes()
    assert started == ["1", "2"]
    assert len(launcher.procs) == 2


def test_a_launcher_shares_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    try:
        ScriptLauncher(LightningEnvironment(), num_processes=1000, num_nodes=1).share_cores()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_a_hook_that_is_skipped_is_not_called_and_is_there_afterwards(tmp_path: Path) -> None:
    class Noted(Callback):
        calls = 0

        def on_train_batch_end(self, *args: Any) -> None:
            self.calls += 1

    skipped, called = Noted(), Noted()
    trainer = Trainer(default_root_dir=tmp_path, fast_dev_run=2, callbacks=[skipped, called], **QUIET)
    with hooks_skipped([(skipped, "on_train_batch_end")]):
        trainer.fit(BoringModel())
    assert (skipped.calls, called.calls) == (0, 2), "Lightning no longer passes over a hook that cannot be called"
    assert callable(skipped.on_train_batch_end)


def test_last_asks_the_checkpoint_callback(tmp_path: Path) -> None:
    class Asked(CheckpointWithLast):
        def last_checkpoints(self, trainer: Trainer) -> set[str]:
            return {str(tmp_path / "chosen.ckpt")}

    module = BoringModel()
    trainer = Trainer(default_root_dir=tmp_path, fast_dev_run=1, **QUIET)
    trainer.fit(module)
    trainer.save_checkpoint(tmp_path / "chosen.ckpt")
    again = Trainer(default_root_dir=tmp_path, max_epochs=2, limit_train_batches=1, callbacks=[Asked()], **QUIET)
    again.fit(module, ckpt_path="last")
    assert again.ckpt_path == str(tmp_path / "chosen.ckpt"), (
        "`ckpt_path='last'` no longer asks `_find_last_checkpoints`"
    )


def test_a_module_is_still_built_without_a_trainer() -> None:
    assert isinstance(BoringModel(), LightningModule)
    with pytest.raises(RuntimeError, match="is not attached to a `Trainer`"):
        _ = BoringModel().trainer


def test_the_arguments_of_a_batch_size_finder_can_be_read() -> None:
    finder = BatchSizeFinder("binsearch", 4, 8, 16, "size", 0.5, 64)
    assert batch_size_settings(finder) == BatchSizeSettings("size", "binsearch", 4, 8, 16, 0.5, 64)


def test_the_batch_that_closes_an_accumulation_window_is_known(tmp_path: Path) -> None:
    closed = []

    class Note(Callback):
        def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
            closed.append(closes_window(trainer))

    flags: dict[str, Any] = {"limit_train_batches": 5, "limit_val_batches": 0, "max_epochs": 1}
    trainer = Trainer(default_root_dir=tmp_path, accumulate_grad_batches=3, callbacks=[Note()], **flags, **QUIET)
    trainer.fit(BoringModel())
    assert closed == [False, False, True, False, True], "`_should_accumulate` of the fit loop"


def test_lightning_asks_before_each_batch_for_a_signal_until_it_is_told_not_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked(Exception):  # noqa: N818
        pass

    def ask(tensor: Any, src: int) -> None:
        raise Asked

    trainer = Trainer(default_root_dir=tmp_path, **QUIET)
    loop = trainer.fit_loop.epoch_loop
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(Trainer, "world_size", 2)
    monkeypatch.setattr(type(loop), "_broadcast_sigterm_tensor", lambda loop: ask(None, 0))
    loop.batch_progress.is_last_batch = False

    def question_of_a_batch() -> type[BaseException]:
        with pytest.raises((Asked, StopIteration)) as ended:
            loop.advance(iter(()))  # type: ignore[arg-type]  # it asks before it takes a batch
        return ended.type

    assert question_of_a_batch() is Asked, "Lightning no longer broadcasts: remove leave_sigterm_to_callback"
    leave_sigterm_to_callback(trainer)
    assert question_of_a_batch() is StopIteration
    ask_for_sigterm_again(trainer)
    assert question_of_a_batch() is Asked


def test_rows_of_metrics_are_numbered_by_batches_and_not_by_steps_of_optimizers(tmp_path: Path) -> None:
    trainer = Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=1,
        limit_train_batches=3, limit_val_batches=0, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    assert logged_step(trainer) == 0
    trainer.fit(BoringModel())
    assert logged_step(trainer) == 3


def test_the_environment_sets_arguments_of_a_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_TRAINER_MAX_EPOCHS", "3")
    monkeypatch.setenv("PL_TRAINER_OTHER", "3")
    assert trainer_variables() == {"max_epochs": 3}


def test_the_checkpoint_that_a_fit_resumes_from_is_known_at_its_start(tmp_path: Path) -> None:
    class Looks(Callback):
        def __init__(self) -> None:
            self.found: dict[str, Any] = {}

        def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.found = loaded_checkpoint(trainer)

    options: dict[str, Any] = {"accelerator": "cpu", "max_steps": 1, "limit_val_batches": 0, "logger": False}
    options |= {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    first = Trainer(default_root_dir=tmp_path, **options)
    first.fit(BoringModel())
    first.save_checkpoint(tmp_path / "saved.ckpt")
    looks = Looks()
    Trainer(default_root_dir=tmp_path, callbacks=looks, **options).fit(BoringModel(), ckpt_path=tmp_path / "saved.ckpt")
    assert looks.found["global_step"] == 1
    assert "optimizer_states" in looks.found


def test_a_checkpoint_that_is_loaded_without_being_asked_for_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(default_root_dir=tmp_path, accelerator="cpu", logger=False)
    assert not loads_unasked(trainer)
    trainer.ckpt_path = "by_hand.ckpt"
    assert loads_unasked(trainer)
    trainer.ckpt_path = None
    (tmp_path / "hpc_ckpt_1.ckpt").touch()
    assert not loads_unasked(trainer), "no job of SLURM"
    monkeypatch.setattr("lightning.fabric.plugins.environments.slurm.SLURMEnvironment.detect", lambda: True)
    assert loads_unasked(trainer)

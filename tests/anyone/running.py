"""Fit a style in a folder, with a trainer as a user would make it, and plant NaNs into it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

from callbacks import DurableCheckpoint
from tests.anyone.styles import Style

QUIET: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False}


def trainer_in(folder: Path, callbacks: Sequence[Callback] = (), **flags: Any) -> Trainer:
    logger = CSVLogger(folder, name="", version="")
    options: dict[str, Any] = {"max_epochs": 2, "log_every_n_steps": 1, "logger": logger} | QUIET | flags
    return Trainer(default_root_dir=folder, accelerator="cpu", callbacks=list(callbacks), **options)


def given(style: Style) -> dict[str, Any]:
    """Return the data as the arguments of `Trainer.fit`."""
    data = style.data() if style.data else None
    if isinstance(data, tuple):
        return {"train_dataloaders": data[0], "val_dataloaders": data[1]}
    return {} if data is None else {"datamodule": data}


def fit(
    style: Style,
    folder: Path,
    callbacks: Sequence[Callback] = (),
    seed: int = 1,
    resume: Path | None = None,
    **flags: Any,
) -> LightningModule:
    """Fit a new module on new data; return it."""
    seed_everything(seed, verbose=False)
    module = style.module()
    trainer_in(folder, callbacks, **flags).fit(module, **given(style), ckpt_path=resume)
    return module


class Keep(DurableCheckpoint):
    """Keeps a copy of each checkpoint."""

    def save(self, trainer: Any, rank: bool = False, only_if_best: bool = False) -> None:
        super().save(trainer, rank, only_if_best)
        name = f"{trainer.current_epoch}-{'end' if rank else 'middle'}-{trainer.global_step:02d}.ckpt"
        Path(trainer.default_root_dir, name).write_bytes((self.folder / "last.ckpt").read_bytes())


class NoGradient(torch.autograd.Function):
    """The identity, with NaN as its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * float("nan")


class Plant(Callback):
    """Plant a NaN behind a module, in its output, its gradient or its weights, from a certain call on.

    Args:
        place: Name of the module.
        kind: `forward`, `backward` or `parameter`.
        at: Number of the call in training.
    """

    def __init__(self, place: str, kind: str, at: int = 3) -> None:
        self.place, self.kind, self.at = place, kind, at

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.kind != "parameter":
            part: Any = pl_module.get_submodule(self.place)
            part.register_buffer("calls", torch.zeros((), device=pl_module.device))
            part.register_forward_hook(self._hook(self.kind, self.at))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.kind == "parameter" and trainer.current_epoch == 0 and batch_idx == self.at - 1:
            parameters = list(pl_module.get_submodule(self.place).parameters())
            parameters[0].data.view(-1)[0] = float("nan")

    @staticmethod
    def _hook(kind: str, at: int) -> Any:
        def hook(part: nn.Module, arguments: Any, output: Tensor) -> Tensor | None:
            if not part.training:
                return None
            part.calls += 1  # type: ignore[operator, assignment]
            if part.calls < at:  # type: ignore[operator]
                return None
            faulty: Tensor = output * float("nan") if kind == "forward" else NoGradient.apply(output)
            return faulty

        return hook

"""Compile the networks and the loss of a module with torch.compile for as long as it is trained."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from foundation.errors import UserError

PARTS = ("network", "generator", "discriminator", "loss")
"""Attributes of a LightningModule that are compiled."""

BACKEND = "inductor"
WITHOUT = "leave out --compile"


class CompiledForward:
    """Call a module's `forward`, compiled. A copy of the module gets a compiled `forward` of its own.

    It takes the place of the method in the instance, so that hooks of the module run as before, and that neither the
    names of weights in a checkpoint nor the module's class change.

    A shape that is new is compiled once, for itself (`dynamic=False`): the results of a batch are then the same bits in
    a resumed run, whatever shapes came before.

    Args:
        module: The module.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        forward = type(module).forward.__get__(module)
        self.compiled = torch.compile(forward, fullgraph=True, dynamic=False, backend=BACKEND)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what `forward` returns; a failure to compile becomes one line."""
        try:
            return self.compiled(*args, **kwargs)
        except Exception as error:
            if not is_of_the_compiler(error):
                raise
            raise UserError(
                f"--compile: torch.compile cannot compile {type(self.module).__name__}.forward as one graph: "
                f"{first_line(error)} Change it, or {WITHOUT}."
            ) from error

    def __deepcopy__(self, memo: dict[int, Any]) -> "CompiledForward":
        return CompiledForward(memo.get(id(self.module), self.module))

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledForward, (self.module,)


class Compile(Callback):
    """Compile networks and loss with `torch.compile` while `fit` runs; `descent fit --compile true` adds it.

    Only `forward` of the module's `network` (`generator`, `discriminator`) and `loss` is compiled, each as one graph.
    Each shape of a batch, in training and in validation, is compiled when it first occurs, which takes from seconds to
    minutes. The results differ from those without it by rounding; a resumed run is exact if it was compiled, too.

    Afterwards, and in `test`, `evaluate`, `predict` and `replay`, the module is as it was. Checkpoints are the same as
    without it.

    Raises:
        UserError: This machine cannot compile, the module has none of these attributes, or `Diagnostics` is on, whose
            hooks on the layers a compiled network has no place for.
    """

    def __init__(self) -> None:
        self._compiled: list[nn.Module] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compile, after a check that this machine can."""
        from callbacks.diagnostics.diagnostics import Diagnostics  # imports pandas

        parts = [part for name in PARTS if isinstance(part := getattr(pl_module, name, None), nn.Module)]
        parts = [part for part in parts if type(part).forward is not nn.Module.forward]
        if not parts:
            raise UserError(f"--compile: {type(pl_module).__name__} has none of {', '.join(PARTS)}: {WITHOUT}.")
        if any(isinstance(callback, Diagnostics) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            raise UserError(
                f"--compile: Diagnostics measures layers, which a compiled network has not: {WITHOUT} or it."
            )
        check_compiler(pl_module.device)
        for part in parts:
            vars(part)["forward"] = CompiledForward(part)
        self._compiled = parts
        names = ", ".join(type(part).__name__ for part in parts)
        rank_zero_info(f"torch.compile: {names}; the first batch of each shape takes longer.")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Undo it."""
        for part in self._compiled:
            vars(part).pop("forward", None)
        self._compiled = []


def check_compiler(device: torch.device) -> None:
    """Compile and run a trivial function.

    Raises:
        UserError: This machine cannot: it lacks a C++ compiler or, for a GPU, Triton.
    """
    try:
        torch.compile(_probe, fullgraph=True, dynamic=False, backend=BACKEND)(torch.zeros(8, device=device))
    except Exception as error:
        needs = "a C++ compiler (g++, or what CXX names)" if device.type == "cpu" else "Triton and a C compiler"
        raise UserError(
            f"--compile: torch.compile does not work on this machine, it needs {needs}: {first_line(error)} Install "
            f"that, or {WITHOUT}."
        ) from error


def _probe(values: torch.Tensor) -> torch.Tensor:
    return values.sin() + 1


def is_of_the_compiler(error: BaseException) -> bool:
    """Whether torch.compile failed, and not the code that it compiles."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def first_line(error: BaseException) -> str:
    """Return the first line of an error, and torch's explanation if there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    explained = [line.removeprefix("Explanation: ") for line in lines if line.startswith("Explanation: ")]
    return " ".join(f"{line.rstrip('.')}." for line in (lines[0], *explained[:1]))

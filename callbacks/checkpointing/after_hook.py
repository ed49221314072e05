"""Save after the module's own `on_train_batch_end`, which Lightning calls after those of all callbacks."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from lightning.pytorch import LightningModule

NAME = "on_train_batch_end"


class AfterModuleHook:
    """Calls a function after the module's `on_train_batch_end` if it is due.

    A module may update an average of its weights there. A checkpoint that is saved before would lack the update, and a
    resumed run starts with the next batch. Descent's own modules do nothing there that a checkpoint holds.
    """

    def __init__(self) -> None:
        self.due = False
        self._module: LightningModule | None = None

    @property
    def installed(self) -> bool:
        """Whether the module has such a hook."""
        return self._module is not None

    def install(self, module: LightningModule, function: Callable[[], None]) -> None:
        """Put the function behind the module's hook, if it has one of its own."""
        self.remove()
        hook: Any = getattr(module, NAME)
        owner = next(kind for kind in type(module).__mro__ if NAME in vars(kind))
        if owner is LightningModule or owner.__module__.startswith("lightning_modules."):
            return

        @wraps(hook)
        def hooked(*args: Any, **kwargs: Any) -> None:
            hook(*args, **kwargs)
            if self.due:
                self.due = False
                function()

        setattr(module, NAME, hooked)
        self._module = module

    def remove(self) -> None:
        """Give the module its hook back."""
        if self._module is not None:
            vars(self._module).pop(NAME, None)
        self._module, self.due = None, False

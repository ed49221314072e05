"""Find the module whose backward pass produced the first gradient that is not finite."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from callbacks.non_finite.values import non_finite, tensors_in


@dataclass
class Call:
    """One call of a module in the forward pass, and the gradients of its inputs and outputs in the backward pass.

    Args:
        name: Of the module.
        parent: The call in which it happened.
        outputs: For each gradient of an output that arrived: `NaN`, `inf`, or `None` for a finite one.
        inputs: The same of the inputs that need a gradient.
        at: Number of the first gradient of an output, in the order of the backward pass.
    """

    name: str
    parent: "Call | None"
    outputs: list[str | None] = field(default_factory=list)
    inputs: list[str | None] = field(default_factory=list)
    at: int | None = None

    def encloses(self, other: "Call") -> bool:
        """Return whether the other call happened within this one."""
        while other.parent is not None:
            other = other.parent
            if other is self:
                return True
        return False


class BackwardRecord:
    """Records the calls of a forward pass and their gradients.

    A module is the origin of a non-finite gradient if the gradients of all its outputs were finite, and that of an
    input or of one of its own parameters is not. The order in which gradients arrive does not tell: between two towers
    it is arbitrary, and a module whose input needs no gradient never ends.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._running: list[Call] = []
        self._arrived = 0
        self._first_bad: tuple[Call, str] | None = None

    def enter(self, name: str, inputs: Any) -> None:
        """Record the start of a call, and watch the gradients of its inputs."""
        call = Call(name, self._running[-1] if self._running else None)
        self._running.append(call)
        self.calls.append(call)
        for tensor in watched(inputs):
            tensor.register_hook(lambda grad: call.inputs.append(non_finite(grad)))  # type: ignore[no-untyped-call]

    def leave(self, name: str, outputs: Any) -> None:
        """Record the end of the innermost call of this module, and watch the gradients of its outputs."""
        while self._running and self._running[-1].name != name:
            self._running.pop()  # it ended by an exception
        if self._running:
            call = self._running.pop()
            for tensor in watched(outputs):
                tensor.register_hook(self._output_hook(call))  # type: ignore[no-untyped-call]

    def _output_hook(self, call: Call) -> Any:
        def hook(grad: Tensor) -> None:
            value = non_finite(grad)
            self._arrived += 1
            call.at = self._arrived if call.at is None else call.at
            call.outputs.append(value)
            if value and self._first_bad is None:
                self._first_bad = (call, value)

        return hook

    def origin(self, parameters: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the name of the module and `NaN` or `inf`; `None` if every gradient is finite.

        Args:
            parameters: `NaN` or `inf` by the name of each module one of whose own parameters has such a gradient.
        """
        starts = [call for call in self.calls if call.outputs and not any(call.outputs)]
        starts = [call for call in starts if any(call.inputs) or call.name in parameters or self._bad_within(call)]
        inner = [call for call in starts if not any(call.encloses(other) for other in starts)]
        if not inner:
            return self._what_follows()
        first = min(inner, key=lambda call: call.at or 0)
        within = self._bad_within(first)
        values = [*first.inputs, parameters.get(first.name), *(value for call in within for value in call.outputs)]
        after = f", after {min(within, key=lambda call: call.at or 0).name}" if within else ""
        return first.name + after, next(filter(None, values))

    def _what_follows(self) -> tuple[str, str] | None:
        """Name the outermost module whose output got the first gradient that is not finite."""
        if self._first_bad is None:
            return None
        call, value = self._first_bad
        while call.parent is not None and any(call.parent.outputs):
            call = call.parent
        return f"what follows {call.name}", value

    def _bad_within(self, outer: Call) -> list[Call]:
        """List the calls inside another one that got a gradient which is not finite."""
        return [call for call in self.calls if outer.encloses(call) and any(call.outputs)]


def bad_gradients(module: nn.Module) -> dict[str, str]:
    """Return `NaN` or `inf` by the name of each module one of whose own parameters has such a gradient."""
    found = {}
    for name, part in module.named_modules():
        for parameter in part.parameters(recurse=False):
            if parameter.grad is not None and (value := non_finite(parameter.grad)):
                found[name] = value
    return found


def watched(value: Any) -> Iterator[Tensor]:
    """Yield the tensors whose gradients are computed."""
    return (tensor for tensor in tensors_in(value) if tensor.requires_grad and not isinstance(tensor, nn.Parameter))

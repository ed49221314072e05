"""Compare the optimizer of a resumed run with that of its checkpoint: what can be applied, what must be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.optim import Optimizer

from foundation.errors import UserError
from lightning_modules.resuming.description import SCHEDULED, differing, title

WITHOUT_STATE = {"lr", "weight_decay", "eps", "dampening", "nesterov", "maximize"}
"""Options that need nothing in the optimizer's state, so that they may be switched on."""
UNSAID = {"foreach", "fused", "max_lr_snapshot"}
"""Options that are set without a line: how the same step is computed, and timm's copy of the learning rate."""
NOT_OPTIONS = {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "name", "parameters", "tensors"}


@dataclass
class Change:
    """What a resumed run changes in one optimizer and its schedule.

    Args:
        options: By parameter group: the names of the options that are set.
        schedule: Whether the schedule is another one, or has other arguments.
        rate: Whether the learning rate before the schedule is another one.
        lines: What to print.
        old_schedule: Description of the checkpoint's schedule.
    """

    options: list[set[str]]
    schedule: bool = False
    rate: bool = False
    lines: list[str] = field(default_factory=list)
    old_schedule: Any = None

    @property
    def rebuilds_schedule(self) -> bool:
        """Whether the schedule starts anew and is moved to the checkpoint's step."""
        return self.schedule or self.rate


def compare(old: Mapping[str, Any], new: Mapping[str, Any], same_parameters: bool, way_out: str) -> Change:
    """Return what is to be applied.

    Args:
        old: Record of the checkpoint, as of `optimizer_record`.
        new: Record of this run.
        same_parameters: Whether the groups are known to be comparable; a strategy that shards the weights, or a
            callback that adds groups while training, makes others.
        way_out: Sentence that ends a refusal.

    Raises:
        UserError: The optimizer's state cannot be continued with the new settings.
    """
    name = str(old["class"]).rpartition(".")[2]
    if old["class"] != new["class"]:
        other = str(new["class"]).rpartition(".")[2]
        raise UserError(
            f"The checkpoint was trained with {name}, this run has {other}, which cannot continue its state. {way_out}"
        )
    before, after = old["groups"], new["groups"]
    if same_parameters and _structure(before) != _structure(after):
        raise UserError(
            f"The parameter groups are not those of the checkpoint, whose state of {name} belongs to "
            f"{_counts(before)}; now there are {_counts(after)} (model.parameter_groups, frozen layers). {way_out}"
        )
    change = Change([set() for _ in after], old_schedule=old["schedule"])
    for index, (was, now) in enumerate(zip(before, after, strict=False)):
        _compare_group(name, was, now, change, index, way_out)
    _compare_schedule(old["schedule"], new["schedule"], change)
    change.lines = list(dict.fromkeys(change.lines))
    return change


def _structure(groups: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    return [(group["tensors"], group["parameters"]) for group in groups]


def _counts(groups: Sequence[Mapping[str, Any]]) -> str:
    listed = ", ".join(f"{group.get('name', index)} ({group['tensors']})" for index, group in enumerate(groups))
    return f"{len(groups)} group{'s' if len(groups) > 1 else ''} of tensors: {listed}"


def _compare_group(
    name: str, was: Mapping[str, Any], now: Mapping[str, Any], change: Change, index: int, way_out: str
) -> None:
    for key in sorted(was.keys() & now.keys() - NOT_OPTIONS):
        if was[key] == now[key]:
            continue
        if not _applies(name, key, was, now):
            raise UserError(
                f"{name} was trained with {key} {shown(was[key])}; with {shown(now[key])} it needs other values than "
                f"its state in the checkpoint holds. {way_out}"
            )
        change.options[index].add(key)
        change.rate |= key == "lr"
        if key not in UNSAID:
            change.lines.append(f"Resumed with {key} {shown(was[key])} → {shown(now[key])} ({name}).")


def _applies(optimizer: str, key: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the state of an optimizer can be continued with another value of an option."""
    if key == "betas" and "train_mode" in now:
        return False  # a schedule-free optimizer holds the weights in a mixture by beta
    switched_on = not was[key] and bool(now[key]) and not isinstance(now[key], str | list)
    return not switched_on or key in WITHOUT_STATE | UNSAID or (key == "momentum" and optimizer == "SGD")


def _compare_schedule(old: Any, new: Any, change: Change) -> None:
    found = list(differing(old, new))
    change.schedule = bool(found)
    if title(old) != title(new):
        change.lines.append(f"Resumed with another schedule: {title(old)} → {title(new)}.")
    elif found:
        text = ", ".join(f"{path} {shown(was)} → {shown(now)}" for path, was, now in found)
        change.lines.append(f"Resumed with other arguments of {title(new)}: {text}.")


def shown(value: Any) -> str:
    """Return a value as a config would have it.

    Example:
        >>> shown([0.9, 0.999]), shown(None), shown(1e-3)
        ('[0.9, 0.999]', 'null', '0.001')
    """
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return "null" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def check_unrecorded(states: Sequence[Mapping[str, Any]], optimizers: Sequence[Optimizer], way_out: str) -> None:
    """Check what the states alone show, for a checkpoint that describes no optimizers.

    Raises:
        UserError: The groups have other options or other numbers of tensors, so it was another optimizer.
    """
    for state, optimizer in zip(states, optimizers, strict=True):
        saved, own = state["param_groups"], optimizer.param_groups
        sizes = [[len(group["params"]) for group in groups] for groups in (saved, own)]
        options = [_options(groups) for groups in (saved, own)]
        # An option that a newer version of the class has gained is no other class; one that it lacks is.
        if sizes[0] != sizes[1] or not options[0] <= options[1]:
            raise UserError(
                f"The checkpoint was trained with another optimizer than {type(optimizer).__name__}, or with other "
                f"parameter groups. {way_out}"
            )


def _options(groups: Sequence[Mapping[str, Any]]) -> set[str]:
    ignored = (SCHEDULED - {"momentum", "betas"}) | NOT_OPTIONS | {"params", "lr_factor", "swap_state"}
    return set(groups[0]) - ignored if groups else set()

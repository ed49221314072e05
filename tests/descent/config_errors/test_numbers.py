"""Every number of every preset: a value outside its range gives an error of one line that names it, nothing else."""

import copy
import functools
import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import Namespace

from callbacks import find_lr
from descent import presets
from descent.config_errors.numbers import check_duration, check_flags, check_numbers
from descent.config_errors.values import similar_classes
from foundation.arguments.ranges import parsed
from foundation.arguments.tables import METHODS, TRAINER
from foundation.errors import UserError
from lightning_modules.optimizers.hyperparameters import check_hyperparameters

KINDS = ("optimizers", "schedulers", "losses", "callbacks", "augmentations", "networks", "data", "parameter_groups")
PRESETS = [name for name in presets.names() if name.partition("/")[0] in KINDS]

NEGATIVE = {"ignore_index", "beta2_decay", "floor"}
ZERO = {
    *("ignore_index", "floor", "beta2_decay", "lr", "eps", "weight_decay", "betas", "momentum", "dampening", "alpha"),
    *("momentum_decay", "warmup_steps", "r", "weight_lr_power", "fallback_lr_scale", "nesterov"),
    *("label_smoothing", "beta", "gamma", "smooth", "threshold", "min_lr", "patience", "cooldown"),
    *(
        "min_delta",
        "decay",
        "seed",
        "data_seed",
        "split_seed",
        "padding",
        "probability",
        "fill",
        "num_workers",
        "noise",
    ),
    *(
        "end_factor",
        "start_factor",
        "low_factor",
        "base_momentum",
        "max_momentum",
        "share",
        "dropout",
        "lr_factors",
        "until",
    ),
}
"""Arguments whose documentation allows these values; no other may be negative or 0."""

VALUES = {"negative": -3, "zero": 0, "nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every number inside a preset."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from numbers(item, (*path, place))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


def with_value(spec: Any, path: tuple[Any, ...], value: float) -> Any:
    """Return a copy of a preset with another number; a whole number stays one, as the parser sees to."""
    spec = copy.deepcopy(spec)
    node = functools.reduce(lambda inside, key: inside[key], path[:-1], spec)
    node[path[-1]] = type(node[path[-1]])(value) if math.isfinite(value) else value
    return spec


def built(spec: Any, kind: str) -> Any:
    """Build what a preset describes, as the command line does."""
    if isinstance(spec, list):
        return [built(item, kind) for item in spec]
    if isinstance(spec, str) and spec.endswith(presets.SUFFIXES):
        return built(yaml.safe_load(Path(presets.resolve(spec)).read_text()), kind)
    if not isinstance(spec, dict) or "class_path" not in spec:
        return spec
    module, _, name = spec["class_path"].rpartition(".")
    target = getattr(import_module(module), name)
    arguments = {key: built(value, kind) for key, value in (spec.get("init_args") or {}).items()}
    if kind == "optimizers":
        check_hyperparameters(functools.partial(target, **arguments))
        return target([torch.zeros(2, 2, requires_grad=True)], **arguments)
    return target(**arguments)


def error_of(spec: Any, kind: str) -> str | None:
    """Return the error that a preset gives, if any; one that is neither a UserError nor a ValueError is raised."""
    tree = Namespace(trainer=Namespace(), part=namespace(spec))
    try:
        check_numbers(tree)
        built(spec, kind)
    except (UserError, ValueError) as error:
        return str(error)
    except (RuntimeError, MemoryError) as error:  # too large for the memory: the command line names the class
        assert kind == "networks"
        return str(error).splitlines()[0]
    return None


def namespace(value: Any) -> Any:
    """Return a mapping as the parser gives it."""
    if isinstance(value, dict):
        return Namespace(**{key: namespace(item) for key, item in value.items()})
    return [namespace(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("preset", PRESETS)
def test_a_number_outside_its_range_is_an_error(preset: str) -> None:
    kind = preset.partition("/")[0]
    spec = yaml.safe_load(Path(presets.resolve(preset)).read_text())
    if preset == "data/image_folder.yaml":
        spec["init_args"]["root"] = "images"
    for path in numbers(spec):
        name = next(part for part in reversed(path) if isinstance(part, str))
        whole = isinstance(functools.reduce(lambda i, k: i[k], path, spec), int)
        huge = error_of(with_value(spec, path, 10**12 if whole else 1e300), kind)  # may be allowed, but never a crash
        assert huge is None or "\n" not in huge
        for label, value in VALUES.items():
            if whole and not math.isfinite(value):
                continue  # the parser refuses it: it is no whole number
            error = error_of(with_value(spec, path, value), kind)
            allowed = (label == "negative" and name in NEGATIVE) or (label == "zero" and name in ZERO)
            case = f"{preset}: {'.'.join(map(str, path))} = {value}"
            assert allowed or error is not None, f"{case} was accepted"
            assert error is None or "\n" not in error, case
            assert error is None or name.removesuffix("s") in error, f"{case}: the error does not name it: {error}"


@pytest.mark.parametrize("name", TRAINER)
def test_trainer_flags(name: str) -> None:
    for value in (-5, math.nan, math.inf, -math.inf):
        with pytest.raises(UserError, match=f"trainer.{name} must be .*, got") as caught:
            check_numbers(Namespace(trainer=Namespace(**{name: value})))
        assert "\n" not in str(caught.value)
    at_least_one = ("accumulate_grad_batches", "check_val_every_n_epoch", "num_nodes", "val_check_interval")
    if name in at_least_one:
        with pytest.raises(UserError, match=f"trainer.{name} must be .*, got 0"):
            check_numbers(Namespace(trainer=Namespace(**{name: 0})))
    check_numbers(Namespace(trainer=Namespace(**{name: 10**9})))
    check_numbers(Namespace(trainer=Namespace(**{name: None})))


@pytest.mark.parametrize(("command", "name"), [(c, name) for c, table in METHODS.items() for name in table])
def test_options_of_commands(command: str, name: str) -> None:
    for value in (-3, math.nan, math.inf):
        config = Namespace(**{"trainer": Namespace(), "low": 0.1, "high": 1.0, name: value})
        with pytest.raises(UserError, match=f"--{name} must be"):
            check_numbers(config, command)


def test_limits_that_belong_together() -> None:
    with pytest.raises(UserError, match=r"--low must be below --high, got 10 and 1"):
        check_numbers(Namespace(trainer=Namespace(), low=10.0, high=1.0), "find_lr")


@pytest.mark.parametrize(
    ("key", "arguments", "message"),
    [
        ("torch.optim.lr_scheduler.StepLR", {"step_size": 0}, r"part\.step_size must be ≥ 1, got 0"),
        ("torch.optim.lr_scheduler.LinearLR", {"start_factor": 7.0}, r"part\.start_factor must be in \(0, 1\], got 7"),
        ("torch.optim.SGD", {"dampening": math.inf}, r"part\.dampening must be in \[0, 1\], got inf"),
        ("timm.optim.Muon", {"ns_steps": 0}, r"part\.ns_steps must be in \[1, 99\], got 0"),
        ("lightning.pytorch.callbacks.EarlyStopping", {"patience": -1}, r"part\.patience must be ≥ 0, got -1"),
        ("lightning.pytorch.callbacks.EarlyStopping", {"stopping_threshold": math.nan}, r"must be finite, got nan"),
        ("mine.Callback", {"anything": math.nan}, r"part\.anything must be finite, got nan"),
    ],
)
def test_classes_of_other_libraries(
    key: str, arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("class Callback: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = Namespace(trainer=Namespace(), part=Namespace(class_path=key, init_args=Namespace(**arguments)))
    with pytest.raises(UserError, match=message):
        check_numbers(config)


def test_a_class_that_is_not_known_may_take_infinity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("class Callback: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = Namespace(limit=math.inf, gain=-1.0)
    check_numbers(Namespace(trainer=Namespace(), part=Namespace(class_path="theirs.Callback", init_args=arguments)))


@pytest.mark.parametrize("key", ["trainer.max_time", "trainer.val_check_interval"])
@pytest.mark.parametrize("value", ["soon", "1:2:3", "{a:1}", {"a": 1}, {"hours": -1}, {"hours": "x"}])
def test_what_is_no_duration_names_the_key(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"^{key}"):
        check_duration(key, value)


@pytest.mark.parametrize("value", [None, 3, 0.5, "00:12:00:00", {"hours": 3, "minutes": 0.5}])
def test_durations(value: Any) -> None:
    check_duration("trainer.max_time", value)


@pytest.mark.parametrize("value", [{}, [], 0.0, "a: b", "", math.nan])
@pytest.mark.parametrize("name", ["reduce", "size_average"])
def test_flags_of_torchs_losses_are_true_or_false(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"^model\.loss\.{name} must be true, false or null"):
        check_flags("model.loss", "torch.nn.CrossEntropyLoss", {name: value})
    check_flags("model.loss", "torch.nn.CrossEntropyLoss", {name: True})
    check_flags("model.loss", "mine.Loss", {name: value})


class Part:
    pass


class RetinaNet(Part):
    pass


class CrossEntropyLoss(Part):
    pass


def test_a_class_is_suggested_by_the_beginning_of_a_word() -> None:
    shown = "; there are CrossEntropyLoss, RetinaNet"
    assert similar_classes("nan", [(Part, 0)]) == shown
    assert similar_classes("1e5", [(Part, 0)]) == shown
    assert similar_classes("entropy", [(Part, 0)]) == ": did you mean CrossEntropyLoss"


@pytest.mark.parametrize("name", ["steps", "repeats", "confirm_steps"])
def test_the_command_line_has_the_bounds_of_the_function(name: str) -> None:
    bounds = parsed(METHODS["find_lr"][name])
    for value in (int(bounds.low) - 1, int(bounds.high) + 1):
        with pytest.raises(ValueError, match=rf"^{name} must be in \[\d+, \d+\], got {value}\.$"):
            find_lr(torch.nn.Identity(), None, **{name: value})  # type: ignore[arg-type]

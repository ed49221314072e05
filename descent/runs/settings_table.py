"""What a run was set to, as the flat table that TensorBoard compares runs by."""

from collections.abc import Mapping
from typing import Any

PARTS = ("network", "loss", "optimizer", "scheduler")
OF_TRAINER = ("max_epochs", "precision", "gradient_clip_val")
METRICS = ("val/loss", "val/accuracy", "train/loss")


def settings(config: Mapping[str, Any]) -> dict[str, bool | str | float | int]:
    """Class and plain arguments of each part, and what else one tunes, by short names.

    TensorBoard shows the first five by alphabet until more are ticked, hence `batch_size` and `lr` without a prefix.

    Args:
        config: A run's, as in its `config.yaml`.

    Example:
        >>> sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}
        >>> settings({"model": {"init_args": {"optimizer": sgd}}})
        {'optimizer': 'SGD', 'lr': 0.1}
    """
    found: dict[str, Any] = {}
    arguments = (config.get("model") or {}).get("init_args") or {}
    for name in PARTS:
        found |= _of_part(name, arguments.get(name))
    data = _of_part("data", config.get("data"))
    found |= {"data": data.get("data"), "batch_size": data.get("data.batch_size")}
    if "optimizer.lr" in found:
        found["lr"] = found.pop("optimizer.lr")
    trainer = config.get("trainer") or {}
    found |= {name: trainer.get(name) for name in OF_TRAINER} | {"seed": config.get("seed_everything")}
    return {name: value for name, value in found.items() if isinstance(value, (bool, int, float, str))}


def _of_part(name: str, spec: Any) -> dict[str, Any]:
    if not isinstance(spec, Mapping):
        return {}
    arguments = spec.get("init_args") or {}
    return {name: str(spec["class_path"]).rpartition(".")[2]} | {f"{name}.{key}": v for key, v in arguments.items()}

"""Parameter groups: weight decay and learning-rate factors per parameter."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn

from foundation.errors import UserError
from lightning_modules.optimizers.network_layers import is_normalisation, layer_of_parameters


class ParameterGroups:
    r"""Split the parameters of a network into groups, each with its own learning rate and weight decay.

    The learning rate and weight decay of the optimizer remain what is configured and scheduled. A group multiplies the
    rate by a factor, and has that weight decay or none. In layer $l$ of $L$ the rate is $\eta \lambda^{L - 1 - l}$
    times the factor of the pattern, with $\lambda$ = `layer_decay`.

    Args:
        decay_bias_and_norm: Whether weight decay also applies to biases, normalisation weights and all other parameters
            with fewer than two dimensions (and those that a network lists in timm's `no_weight_decay()`).
        layer_decay: $\lambda$ in (0, 1]; 1 gives all layers the same rate. timm's networks say what their layers are;
            in any other each residual, dense or transformer block is a layer (see `layer_of_parameters`).
        lr_factors: Pattern of parameter names (with `*` and `?`, e.g. `network.head.*`) → factor of the rate, ≥ 0. The
            first matching pattern counts.
        options: Pattern → optimizer options for the matching parameters, e.g. `{"*head*": {"use_fallback": true}}` to
            exclude the last layer from Muon.

    Raises:
        ValueError: A factor is outside its range.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        >>> groups = ParameterGroups(lr_factors={"2.*": 10}).split(network)
        >>> [(group["name"], group["lr_factor"], len(group["params"])) for group in groups]
        [('decay', 1.0, 1), ('no decay', 1.0, 3), ('decay, lr × 10', 10.0, 1), ('no decay, lr × 10', 10.0, 1)]

    Reference: Clark et al. ELECTRA. 2020 (layer-wise decay). He et al. Bag of Tricks for Image Classification. 2019 (no
    decay of biases).
    """

    def __init__(
        self,
        decay_bias_and_norm: bool = False,
        layer_decay: float = 1.0,
        lr_factors: dict[str, float] | None = None,
        options: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        if not 0 < layer_decay <= 1:
            raise ValueError(f"layer_decay must be in (0, 1], got {layer_decay}.")
        for pattern, factor in (lr_factors or {}).items():
            if not factor >= 0:
                raise ValueError(f"lr_factors: the factor of {pattern!r} must be ≥ 0, got {factor}.")
        for pattern, chosen in (options or {}).items():
            if reserved := {"params", "lr", "name", "lr_factor"} & set(chosen):
                raise ValueError(f"options: {pattern!r} cannot set {', '.join(sorted(reserved))}; use lr_factors.")
        self.decay_bias_and_norm = decay_bias_and_norm
        self.layer_decay = layer_decay
        self.lr_factors = dict(lr_factors or {})
        self.options = dict(options or {})

    def split(self, module: nn.Module) -> list[dict[str, Any]]:
        """Return the groups (`name`, `params`, `lr_factor`, options); each trainable parameter is in exactly one.

        Raises:
            UserError: A pattern matches no parameter.
        """
        parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        for pattern in (*self.lr_factors, *self.options):
            if not any(fnmatchcase(name, pattern) for name in parameters):
                raise UserError(
                    f"The pattern {pattern!r} matches no trainable parameter. There are, for example: "
                    f"{', '.join(list(parameters)[:5])}."
                )
        undecayed = set() if self.decay_bias_and_norm else set(undecayed_parameters(module))
        factors = self._layer_factors(module)
        groups: dict[str, dict[str, Any]] = {}
        for name, parameter in parameters.items():
            factor = factors[name] * first_match(self.lr_factors, name, 1.0)
            options = first_match(self.options, name, {})
            label = ("no decay" if name in undecayed else "decay") if undecayed else "all"
            label += f", lr × {factor:.4g}" if factor != 1 else ""
            label += "".join(f", {key}={value}" for key, value in options.items())
            decay = {"weight_decay": 0.0} if name in undecayed else {}
            group = groups.setdefault(label, {"name": label, "params": [], "lr_factor": factor, **decay, **options})
            group["params"].append(parameter)
        return list(groups.values())

    def _layer_factors(self, module: nn.Module) -> dict[str, float]:
        if self.layer_decay == 1:
            return {name: 1.0 for name, _ in module.named_parameters()}
        layers = layer_of_parameters(network_of(module))
        depth = max(layers.values(), default=0)
        prefix = "" if network_of(module) is module else "network."
        by_name = {prefix + name: self.layer_decay ** (depth - layer) for name, layer in layers.items()}
        return {name: by_name.get(name, 1.0) for name, _ in module.named_parameters()}


def network_of(module: nn.Module) -> nn.Module:
    """Return the network of one of our LightningModules, or the module itself."""
    network = getattr(module, "network", None) if isinstance(module, LightningModule) else None
    return network if isinstance(network, nn.Module) else module


def undecayed_parameters(module: nn.Module) -> Iterator[str]:
    """Yield the names of parameters without decay: biases, normalisations, fewer than two dimensions, timm's list."""
    for path, owner in module.named_modules():
        prefix = f"{path}." if path else ""
        listed = getattr(owner, "no_weight_decay", None)
        yield from (prefix + name for name in (listed() if callable(listed) else ()))
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.ndim < 2 or name.endswith("bias") or is_normalisation(owner):
                yield prefix + name


def first_match(patterns: dict[str, Any], name: str, otherwise: Any) -> Any:
    """Return the value of the first pattern that matches the name."""
    return next((value for pattern, value in patterns.items() if fnmatchcase(name, pattern)), otherwise)

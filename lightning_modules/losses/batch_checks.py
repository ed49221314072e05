"""Checks of one batch before it reaches the loss: mistakes that would train without an error message.

They read values, which makes a device wait. Call them for one batch before a run, not in every step.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.losses.input_contract import InputContract, input_contract


class Finding(NamedTuple):
    """A mistake and what to do about it.

    Args:
        certain: Whether it can only be a mistake; otherwise it may be intended.
        text: One or two sentences.
    """

    certain: bool
    text: str


class _Batch(NamedTuple):
    """A loss, its input contract, and the outputs and targets it is given, on the CPU."""

    loss: nn.Module
    contract: InputContract
    output: Tensor
    target: Tensor

    @property
    def name(self) -> str:
        return type(self.loss).__name__

    @property
    def range(self) -> tuple[float, float]:
        return self.output.min().item(), self.output.max().item()

    @property
    def ignore_index(self) -> int | None:
        return getattr(self.loss, "ignore_index", None)


Check = Callable[[_Batch], Iterator[str]]


def examine(
    loss: nn.Module, output: Tensor, target: Tensor, untrained: bool = True, shuffled: bool = True
) -> list[Finding]:
    """Find mistakes in one batch: the first certain one, or else all doubtful ones.

    Returns no findings for a loss whose `input_contract` is unknown.

    Args:
        loss: The loss.
        output: The network's outputs for a batch.
        target: The batch's targets.
        untrained: Whether the network has just been initialised, so that its loss should be that of a random guess.
        shuffled: Whether the batch should hold targets of all kinds, which a validation batch need not.

    Example:
        >>> logits, classes = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 3])
        >>> [finding.certain for finding in examine(nn.CrossEntropyLoss(), logits, classes)]
        [True]
    """
    contract = input_contract(loss)
    if contract is None or output.numel() == 0:
        return []
    batch = _Batch(loss, contract, output.detach().float().cpu(), target.detach().cpu())
    for check in _CERTAIN:  # each relies on the ones before it
        if found := [Finding(True, text) for text in check(batch)]:
            return found
    doubtful = [*_DOUBTFUL, *([_one_target] if shuffled else []), *([_initial_loss] if untrained else [])]
    return [Finding(False, text) for check in doubtful for text in check(batch)]


def _finite(batch: _Batch) -> Iterator[str]:
    for name, tensor in (("targets", batch.target), ("network outputs", batch.output)):
        wrong = int((~tensor.isfinite()).sum())
        if wrong:
            yield f"{wrong} of {tensor.numel()} {name} in the first batch are NaN or infinite."


def _shapes(batch: _Batch) -> Iterator[str]:
    output, target = batch.output, batch.target
    shapes = f"outputs {tuple(output.shape)} and targets {tuple(target.shape)}"
    if batch.contract.over == "elements":
        checks_itself = type(batch.loss).__module__.startswith("lightning_modules.")  # and some take several shapes
        if output.shape != target.shape and not checks_itself:
            advice = "give the network as many outputs as there are targets"
            if output.squeeze(-1).shape == target.squeeze(-1).shape:
                advice = "remove the last dimension of one of them, e.g. output.squeeze(-1)"
            yield f"{batch.name} got {shapes}: broadcasting would compare every sample with every other; {advice}."
    elif output.ndim < 2:
        yield f"{batch.name} takes one logit per class, (B, C); got {shapes}."
    elif target.is_floating_point() and target.shape != output.shape:
        yield (
            f"{batch.name} takes integer class numbers, (B, …), or probabilities (B, C, …); got {shapes} of "
            f"{target.dtype}: use target.long(), or a regression loss."
        )
    elif not target.is_floating_point() and target.shape != output.shape[:1] + output.shape[2:]:
        yield f"{batch.name} takes class numbers of shape {(len(output), *output.shape[2:])}; got {shapes}."


def _labels(batch: _Batch) -> Iterator[str]:
    if batch.contract.over != "classes" or batch.target.is_floating_point():
        return
    classes, ignored = batch.output.shape[1], batch.ignore_index
    if classes == 1:
        yield (
            f"{batch.name} over one class is always 0: nothing would be learnt. For a binary target use "
            "losses/bce_logits.yaml."
        )
    outside = (batch.target < 0) | (batch.target >= classes)
    if ignored is not None:
        outside &= batch.target != ignored
        if isinstance(batch.loss, (nn.CrossEntropyLoss, nn.NLLLoss)) and (batch.target == ignored).all():
            yield (
                f"no target of the first batch is labelled (all are {ignored}), for which {batch.name} is NaN: use "
                "losses/cross_entropy_weighted.yaml, for which it is 0."
            )
    if outside.any():
        wrong = sorted(set(batch.target[outside].tolist()))[:5]
        advice = ""
        if wrong == [classes]:
            advice = " Are they counted from 1? Subtract 1."
        elif 255 in wrong:
            advice = " Does 255 mean 'not labelled'? Give the loss ignore_index: 255."
        yield (
            f"targets {wrong} in the first batch are not class numbers: the network has {classes} outputs, for "
            f"classes 0 to {classes - 1}.{advice}"
        )


def _output_range(batch: _Batch) -> Iterator[str]:
    low, high = batch.range
    if batch.contract.output == "probabilities" and (low < 0 or high > 1):
        yield (
            f"{batch.name} takes probabilities, but the network returns {low:.3g} to {high:.3g}, which look like "
            "logits: use losses/bce_logits.yaml, or end the network in a sigmoid."
        )
    if batch.contract.output == "log_probabilities" and high > 1e-6:
        yield (
            f"{batch.name} takes log-probabilities, which are at most 0, but the network returns up to {high:.3g}: use "
            "losses/cross_entropy.yaml, which takes logits."
        )


def _already_probabilities(batch: _Batch) -> Iterator[str]:
    output, (low, high) = batch.output, batch.range
    if batch.contract.output != "logits" or low < 0 or high > 1 or output.numel() < 8:
        return
    sums = output.sum(dim=1) if output.ndim > 1 and output.shape[1] > 1 else None
    text = (
        "{what} {name} takes logits and applies the {function} itself; applied twice, the loss cannot fall far. "
        "Remove the network's last {function}{alternative}."
    )
    if batch.contract.over == "classes" and sums is not None and torch.allclose(sums, torch.ones(()), atol=1e-2):
        what = "the outputs lie between 0 and 1 and sum to 1, as after a softmax."
        yield text.format(what=what, name=batch.name, function="softmax", alternative="")
    # small logits of a network whose last bias is positive also lie there; those of a sigmoid are near ½ or far apart
    elif (
        batch.contract.over == "elements" and output.std() > 0 and (abs(output.mean() - 0.5) < 0.2 or high - low > 0.5)
    ):
        what = "all outputs lie between 0 and 1, as after a sigmoid."
        yield text.format(what=what, name=batch.name, function="sigmoid", alternative=", or use losses/bce.yaml")


def _target_sums(batch: _Batch) -> Iterator[str]:
    if (
        batch.contract.over == "classes"
        and batch.target.is_floating_point()
        and batch.output.shape == batch.target.shape
    ):
        sums = batch.target.sum(dim=1)
        if not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
            yield (
                f"the target probabilities of a sample sum to {sums.min():.3g} to {sums.max():.3g}, not to 1. For "
                "several labels per sample use losses/bce_logits.yaml."
            )


def _one_target(batch: _Batch) -> Iterator[str]:
    first = batch.target.flatten()[:1]
    if len(batch.target) >= 8 and (batch.target == first).all():
        yield (
            f"all targets of the first batch are {first.item():g}: are the training data shuffled and read correctly?"
        )


def _initial_loss(batch: _Batch) -> Iterator[str]:
    """Compare the plain cross-entropy, whatever the loss computes from it, with that of a random guess."""
    output, target = batch.output, batch.target
    if batch.contract.output != "logits":
        return
    if batch.contract.over == "classes":
        ignored = None if target.is_floating_point() else batch.ignore_index
        labels = target if target.is_floating_point() else target.long()
        first = F.cross_entropy(output, labels, ignore_index=-100 if ignored is None else ignored).item()
        outcomes = output.shape[1]
    elif output.shape == target.shape:
        known = (target >= 0) & (target <= 1)
        first = F.binary_cross_entropy_with_logits(output[known], target[known].float()).item()
        outcomes = 2
    else:
        return
    guess = math.log(outcomes)
    text = f"the first cross-entropy is {first:.3g}, that of a random guess {guess:.3g} (ln {outcomes}): "
    if first > 2 * guess + 0.5:
        yield (
            f"{text}before any training, the network is certain and wrong. Are the inputs normalised? Was the last "
            "layer initialised with large weights?"
        )
    elif first < 0.5 * guess:
        yield f"{text}expected of a network that was trained before; otherwise the inputs may contain the targets."


_CERTAIN: tuple[Check, ...] = (_finite, _shapes, _labels, _output_range)
_DOUBTFUL: tuple[Check, ...] = (_already_probabilities, _target_sums)


def examine_inputs(inputs: Tensor) -> list[Finding]:
    """Find mistakes in a batch of inputs: NaN, or numbers as large as raw pixels.

    Example:
        >>> [finding.certain for finding in examine_inputs(torch.tensor([0.0, 255.0]))]
        [False]
    """
    if not inputs.is_floating_point() or inputs.numel() == 0:
        return []
    values = inputs.detach().float()
    wrong = int((~values.isfinite()).sum())
    if wrong:
        return [Finding(True, f"{wrong} of {values.numel()} numbers in the first batch of inputs are NaN or infinite.")]
    low, high = values.min().item(), values.max().item()
    if max(-low, high) <= 50:
        return []
    text = f"the inputs range from {low:.4g} to {high:.4g}: networks learn best from inputs of mean 0 and deviation 1."
    return [Finding(False, f"{text} Normalise them.")]

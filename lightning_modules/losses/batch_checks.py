"""What is wrong with what a loss is fed: the mistakes that train without a word.

Looks at values, so it makes a device wait: for one batch before a run, not for a step.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.losses.input_contract import InputContract, input_contract


class Finding(NamedTuple):
    """A mistake and the way out.

    Args:
        certain: It can only be a mistake; else it may be meant.
        text: One or two sentences.
    """

    certain: bool
    text: str


Check = Callable[[nn.Module, InputContract, Tensor, Tensor], Iterator[Finding]]


def examine(
    loss: nn.Module, output: Tensor, target: Tensor, untrained: bool = True, shuffled: bool = True
) -> list[Finding]:
    """Mistakes in one batch: a certain one, else all doubtful ones; nothing about a loss that `input_contract` lacks.

    Args:
        loss: The loss.
        output: What the network gave for a batch.
        target: The batch's targets.
        untrained: Whether the network has just been initialised: then its loss should be what chance gives.
        shuffled: Whether the batch should hold all kinds of targets. A validation batch of an image folder need not.

    Example:
        >>> logits, classes = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 3])
        >>> [finding.certain for finding in examine(nn.CrossEntropyLoss(), logits, classes)]
        [True]
    """
    expected = input_contract(loss)
    if expected is None or output.numel() == 0:
        return []
    output, target = output.detach().float().cpu(), target.detach().cpu()
    for check in CERTAIN:  # each takes for granted what those before it have seen to
        if found := list(check(loss, expected, output, target)):
            return found
    doubtful = (*DOUBTFUL, *([_one_target] if shuffled else []), *([_level] if untrained else []))
    return [finding for check in doubtful for finding in check(loss, expected, output, target)]


def _finite(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    for name, tensor in (("targets", target), ("network's outputs", output)):
        wrong = int((~tensor.isfinite()).sum())
        if wrong:
            yield Finding(True, f"{wrong} of {tensor.numel()} {name} in the first batch are NaN or infinite.")


def _shapes(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    shapes = f"outputs {tuple(output.shape)} against targets {tuple(target.shape)}"
    name = type(loss).__name__
    if expected.over == "elements":
        if output.shape != target.shape and not name_is_ours(loss):
            way = "give the network as many outputs as there are targets"
            if output.squeeze(-1).shape == target.squeeze(-1).shape:
                way = "take the last dimension off one of them, e.g. output.squeeze(-1)"
            yield Finding(True, f"{name} compares {shapes}: it would broadcast, every sample with every other; {way}.")
    elif output.ndim < 2:
        yield Finding(True, f"{name} wants a logit for each class, (B, C); got {shapes}.")
    elif target.is_floating_point() and target.shape != output.shape:
        yield Finding(True, f"{name} wants whole class numbers, (B, …), or probabilities (B, C, …); got {shapes} "
                            f"of {target.dtype}: use target.long(), or a loss for numbers.")  # fmt: skip
    elif not target.is_floating_point() and target.shape != output.shape[:1] + output.shape[2:]:
        yield Finding(True, f"{name} wants class numbers of shape {(len(output), *output.shape[2:])}; got {shapes}.")


def name_is_ours(loss: nn.Module) -> bool:
    """Our losses refuse wrong shapes themselves, and some take more than one."""
    return type(loss).__module__.startswith("lightning_modules.")


def _labels(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    if expected.over != "classes" or target.is_floating_point():
        return
    classes = output.shape[1]
    if classes == 1:
        yield Finding(True, f"{type(loss).__name__} over one class is always 0: nothing would be learnt. "
                            "Use losses/bce_logits.yaml for a yes-or-no question.")  # fmt: skip
    ignored = getattr(loss, "ignore_index", None)
    outside = (target < 0) | (target >= classes)
    if ignored is not None:
        outside &= target != ignored
        if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) and (target == ignored).all():
            yield Finding(True, f"no target of the first batch is labelled (all are {ignored}), for which "
                                f"{type(loss).__name__} is NaN: choose losses/cross_entropy_weighted.yaml, "
                                "for which it is 0.")  # fmt: skip
    if outside.any():
        wrong = sorted(set(target[outside].tolist()))[:5]
        yield Finding(True, f"targets {wrong} in the first batch are no class numbers: the network has {classes} "
                            f"outputs, for classes 0 to {classes - 1}.{_one_more(wrong, classes)}")  # fmt: skip


def _one_more(wrong: list[int], classes: int) -> str:
    if wrong == [classes]:
        return " Are they counted from 1? Subtract 1."
    if 255 in wrong:
        return " Does 255 mark what is not labelled? Give the loss ignore_index: 255."
    return ""


def _range(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    name, low, high = type(loss).__name__, output.min().item(), output.max().item()
    if expected.output == "probabilities" and (low < 0 or high > 1):
        yield Finding(True, f"{name} wants probabilities and the network gives {low:.3g} to {high:.3g}, as logits are: "
                            "choose losses/bce_logits.yaml, or end the network in a sigmoid.")  # fmt: skip
    if expected.output == "log_probabilities" and high > 1e-6:
        yield Finding(True, f"{name} wants log-probabilities, which are at most 0, and the network gives up to "
                            f"{high:.3g}: choose losses/cross_entropy.yaml, which takes logits.")  # fmt: skip


def _already_probabilities(
    loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor
) -> Iterator[Finding]:
    low, high = output.min().item(), output.max().item()
    if expected.output != "logits" or low < 0 or high > 1 or output.numel() < 8:
        return
    name = type(loss).__name__
    sums = output.sum(dim=1) if output.ndim > 1 and output.shape[1] > 1 else None
    if expected.over == "classes" and sums is not None and torch.allclose(sums, torch.ones(()), atol=1e-2):
        yield Finding(False, f"the outputs lie between 0 and 1 and sum to 1: a softmax. {name} wants logits and takes "
                             "the softmax itself; with two of them the loss cannot fall far. Take the network's last "
                             "softmax away.")  # fmt: skip
    # small logits of a network whose last bias is positive lie there too; a sigmoid's lie about ½, or far apart
    elif expected.over == "elements" and output.std() > 0 and (abs(output.mean() - 0.5) < 0.2 or high - low > 0.5):
        yield Finding(False, f"all outputs lie between 0 and 1, as after a sigmoid. {name} wants logits and takes the "
                             "sigmoid itself; with two of them the loss cannot fall far. Take the network's last "
                             "sigmoid away, or choose losses/bce.yaml.")  # fmt: skip


def _soft_targets(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    if expected.over == "classes" and target.is_floating_point() and output.shape == target.shape:
        sums = target.sum(dim=1)
        if not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
            yield Finding(False, f"the target probabilities sum to {sums.min():.3g} to {sums.max():.3g} a sample, "
                                 "not 1. For labels that may go together choose losses/bce_logits.yaml.")  # fmt: skip


def _one_target(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    if len(target) >= 8 and (target == target.flatten()[0]).all():
        yield Finding(False, f"all targets of the first batch are {target.flatten()[0].item():g}: are the training "
                             "data shuffled, and read right?")  # fmt: skip


def _level(loss: nn.Module, expected: InputContract, output: Tensor, target: Tensor) -> Iterator[Finding]:
    """Compare the plain cross-entropy, whatever the loss makes of it, with that of a guess."""
    if expected.output != "logits":
        return
    if expected.over == "classes":
        ignored = None if target.is_floating_point() else getattr(loss, "ignore_index", None)
        labels = target if target.is_floating_point() else target.long()
        first = F.cross_entropy(output, labels, ignore_index=-100 if ignored is None else ignored).item()
        chance, guess = math.log(output.shape[1]), f"ln {output.shape[1]}"
    else:
        if output.shape != target.shape:
            return
        known = (target >= 0) & (target <= 1)
        first = F.binary_cross_entropy_with_logits(output[known], target[known].float()).item()
        chance, guess = math.log(2), "ln 2"
    if first > 2 * chance + 0.5:
        yield Finding(False, f"the first cross-entropy is {first:.3g}, a guess has {chance:.3g} ({guess}): before any "
                             "training the network is sure and wrong. Are the inputs normalised? Is the last layer "
                             "initialised with large weights?")  # fmt: skip
    elif first < 0.5 * chance:
        yield Finding(False, f"the first cross-entropy is {first:.3g}, a guess has {chance:.3g} ({guess}): right for a "
                             "network that was trained before, else the inputs may hold the answer.")  # fmt: skip


CERTAIN: tuple[Check, ...] = (_finite, _shapes, _labels, _range)
DOUBTFUL: tuple[Check, ...] = (_already_probabilities, _soft_targets)


def examine_inputs(inputs: Tensor) -> list[Finding]:
    """Mistakes in a batch of inputs: NaN, or numbers as large as raw pixels.

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
    if max(-low, high) > 50:
        text = (
            f"the inputs range from {low:.4g} to {high:.4g}: networks learn best from inputs of mean 0 and deviation 1."
        )
        return [Finding(False, f"{text} Normalise them.")]
    return []

"""`descent guide`: which loss for which task, and why; every row can be trained as it is."""

import shutil
import textwrap
from typing import NamedTuple

from descent.commands.parser import CommandParser, print_json

USAGE = """\
usage: descent guide [WORD...] [--json | --markdown]

Prints which loss to use for which task, why, and the command that trains it.

  WORD        show only rows that contain all these words, e.g. rare
  --json      print the rows as JSON, for programs
  --markdown  print the table of the documentation
"""


class Row(NamedTuple):
    """A loss for a task.

    Args:
        task: The kind of problem.
        preset: The loss, as a preset.
        when: For which data to choose it.
        why: What distinguishes it from the other losses.
        words: Arguments of `descent fit` besides `--model.loss`.
    """

    task: str
    preset: str
    when: str
    why: str
    words: str

    @property
    def command(self) -> str:
        """The command that trains with this loss."""
        return f"descent fit {self.words} --model.loss {self.preset}"


CLASSES, BINARY = "multi-class classification", "binary classification"
LABELS, REGRESSION = "multi-label classification", "regression"
SEGMENTATION = "semantic segmentation (a class for every pixel)"
MASK = "binary segmentation (foreground or background for every pixel)"
GAN = "image generation (GAN)"
_CLASSES, _BINARY, _LABELS = "-c configs/quickstart.yaml", "-c configs/binary.yaml", "-c configs/multilabel.yaml"
_REGRESSION, _SEGMENTATION = "-c configs/regression.yaml", "-c configs/segmentation.yaml"
_MASK, _GAN = "-c configs/segmentation_binary.yaml", "-c configs/gan.yaml"

GUIDE = [
    Row(CLASSES, "losses/cross_entropy.yaml", "the default", "calibrated probabilities; takes logits", _CLASSES),
    Row(CLASSES, "losses/cross_entropy_smooth.yaml", "long runs, or some wrong labels", "label smoothing: the network"
        " is not driven to certainty; the lowest loss is above 0", _CLASSES),
    Row(CLASSES, "losses/cross_entropy_weighted.yaml", "some classes are rare", "each class has a weight; also ignores"
        " pixels or samples without a label", _CLASSES),
    Row(CLASSES, "losses/focal.yaml", "rare or hard samples among many easy ones", "a sample predicted with probability"
        " 0.9 counts a hundredth; the network becomes less confident", _CLASSES),
    Row(BINARY, "losses/bce_logits.yaml", "the default", "stable for any logit; pos_weight above 1 increases recall",
        _BINARY),
    Row(BINARY, "losses/bce.yaml", "the network must end in a sigmoid", "takes probabilities, also in mixed precision;"
        " less precise near 0 and 1 than from logits", _BINARY),
    Row(BINARY, "losses/focal_sigmoid.yaml", "positives are rare", "easy negatives count little; alpha weights"
        " positives against negatives", _BINARY),
    Row(LABELS, "losses/bce_logits.yaml", "the default", "each label is a binary classification of its own", _LABELS),
    Row(LABELS, "losses/focal_sigmoid.yaml", "most labels are rare", "easy negatives count little", _LABELS),
    Row(REGRESSION, "losses/mse.yaml", "errors are roughly normal", "estimates the mean; an outlier counts by its"
        " square", _REGRESSION),
    Row(REGRESSION, "losses/mae.yaml", "heavy tails, many outliers", "estimates the median; the gradient does not"
        " shrink with the error, so use a decreasing learning rate", _REGRESSION),
    Row(REGRESSION, "losses/huber.yaml", "mostly normal errors, some outliers", "quadratic up to delta, linear beyond;"
        " set delta to the largest error that is still normal", _REGRESSION),
    Row(REGRESSION, "losses/smooth_l1.yaml", "as huber", "huber divided by its delta (beta): the slope for large errors"
        " is always 1", _REGRESSION),
    Row(REGRESSION, "losses/rmse.yaml", "the loss should be in the unit of the target", "same minimum as mse; the"
        " gradient keeps its length however small the error", _REGRESSION),
    Row(REGRESSION, "losses/msle.yaml", "positive targets over several orders of magnitude", "measures ratios, not"
        " differences; predicting too low costs more than too high", f"{_REGRESSION} --model.standardize false"),
    Row(SEGMENTATION, "losses/cross_entropy_weighted.yaml", "classes of similar size", "smooth gradients, calibrated"
        " probabilities; without weights small classes are neglected", _SEGMENTATION),
    Row(SEGMENTATION, "losses/dice.yaml", "a class is small", "every class counts the same whatever its size; needs a"
        " larger learning rate than cross-entropy", _SEGMENTATION),
    Row(SEGMENTATION, "losses/jaccard.yaml", "the metric is intersection over union", "as dice, but misses and"
        " false alarms cost more", _SEGMENTATION),
    Row(SEGMENTATION, "losses/tversky.yaml", "a miss is worse than a false alarm, or the reverse", "dice with separate"
        " costs for misses and false alarms", _SEGMENTATION),
    Row(MASK, "losses/bce_logits.yaml", "foreground and background of similar size", "smooth gradients, calibrated"
        " probabilities", _MASK),
    Row(MASK, "losses/dice_binary.yaml", "the foreground is small", "measures the overlap, however large the"
        " background is", _MASK),
    Row(MASK, "losses/focal_sigmoid.yaml", "most of the background is easy", "easy pixels count little", _MASK),
    Row(GAN, "losses/adversarial_non_saturating.yaml", "the default", "the generator has the largest gradient while its"
        " images are still bad", _GAN),
    Row(GAN, "losses/adversarial_least_squares.yaml", "training oscillates", "generated images have a gradient however"
        " confident the discriminator is", _GAN),
    Row(GAN, "losses/adversarial_hinge.yaml", "with spectral normalisation", "the discriminator ignores images that it"
        " classifies correctly by a margin", f"{_GAN} --model.discriminator"
        " networks/dcgan_discriminator_spectral.yaml"),
]  # fmt: skip


def main(args: list[str]) -> None:
    """Print the guide; `args` are the words after `descent guide`."""
    parser = CommandParser("guide", USAGE)
    parser.add_argument("words", nargs="*")
    parser.add_json()
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(args)
    rows = [row for row in GUIDE if all(word.lower() in " ".join(row).lower() for word in options.words)]
    if not rows:
        parser.error(f"nothing about {' '.join(options.words)}; the tasks are: {', '.join(tasks(GUIDE))}")
    if options.json:
        print_json([row._asdict() | {"command": row.command} for row in rows])
    else:
        print(markdown(rows) if options.markdown else plain(rows, shutil.get_terminal_size().columns), end="")


def tasks(rows: list[Row]) -> list[str]:
    """Return the tasks of the rows, in order."""
    return list(dict.fromkeys(row.task for row in rows))


def plain(rows: list[Row], width: int) -> str:
    """Return the rows by task, wrapped to the screen."""
    lines = []
    for task in tasks(rows):
        lines += [f"{task[0].upper()}{task[1:]}:", ""]
        for row in (row for row in rows if row.task == task):
            text = textwrap.indent(textwrap.fill(f"{row.when}: {row.why}.", width - 12), " " * 6)
            lines += [f"  {row.preset}", text, f"      {row.command}", ""]
    return "\n".join(lines)


def markdown(rows: list[Row]) -> str:
    """Return the table of the documentation."""
    lines = ["| task | when | loss | why | train it |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {row.task} | {row.when} | `{row.preset}` | {row.why} | `{row.command}` |" for row in rows]
    return "\n".join(lines) + "\n"

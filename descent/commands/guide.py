"""`descent guide`: which loss, for which task, and why; every row can be trained as it stands."""

import json
import shutil
import textwrap
from typing import NamedTuple

from descent.commands.parser import LightParser


class Row(NamedTuple):
    """A loss for a task.

    Args:
        task: What is predicted.
        preset: Its short name.
        when: Of what the data is like, when to take it.
        why: What it does that the others do not.
        words: What `descent fit` is given besides `--model.loss`.
    """

    task: str
    preset: str
    when: str
    why: str
    words: str

    @property
    def command(self) -> str:
        """The command that trains it."""
        return f"descent fit {self.words} --model.loss {self.preset}"


CLASSES, BINARY, LABELS = "one class of several", "yes or no", "any number of labels"
NUMBER, PIXELS = "a number", "a class for every pixel"
MASK, IMAGES = "yes or no for every pixel", "new images (GAN)"
_IMAGES, _YES, _MANY = "-c configs/quickstart.yaml", "-c configs/binary.yaml", "-c configs/multilabel.yaml"
_NUMBERS, _MASKS = "-c configs/regression.yaml", "-c configs/segmentation.yaml"
_MASK, _GAN = "-c configs/segmentation_binary.yaml", "-c configs/gan.yaml"

GUIDE = [
    Row(CLASSES, "losses/cross_entropy.yaml", "the first choice", "calibrated probabilities; softmax inside", _IMAGES),
    Row(CLASSES, "losses/cross_entropy_smooth.yaml", "long runs, some labels wrong", "no target is certain: the network"
        " is not driven to certainty; the loss no longer reaches 0", _IMAGES),
    Row(CLASSES, "losses/cross_entropy_weighted.yaml", "some classes rare", "each class gets a weight; also the answer"
        " where pixels or samples are not labelled", _IMAGES),
    Row(CLASSES, "losses/focal.yaml", "rare or hard samples among many easy ones", "a sample of probability 0.9 counts"
        " a hundredth; the network stays less sure of itself", _IMAGES),
    Row(BINARY, "losses/bce_logits.yaml", "the first choice", "stable for any logit; pos_weight above 1 for recall",
        _YES),
    Row(BINARY, "losses/bce.yaml", "the network must end in a sigmoid", "takes probabilities, also under mixed"
        " precision; what a probability rounds away is lost", _YES),
    Row(BINARY, "losses/focal_sigmoid.yaml", "yes is rare", "easy noes count little; alpha weighs yes and no", _YES),
    Row(LABELS, "losses/bce_logits.yaml", "the first choice", "each label is a question of its own", _MANY),
    Row(LABELS, "losses/focal_sigmoid.yaml", "most labels apply seldom", "easy noes count little", _MANY),
    Row(NUMBER, "losses/mse.yaml", "errors are about normal", "estimates the mean; an outlier counts by its square",
        _NUMBERS),
    Row(NUMBER, "losses/mae.yaml", "heavy tails, many outliers", "estimates the median; the gradient is as large for"
        " small errors: let the learning rate fall", _NUMBERS),
    Row(NUMBER, "losses/huber.yaml", "mostly normal errors, some outliers", "squared up to delta, straight beyond;"
        " delta is the largest error that is still normal", _NUMBERS),
    Row(NUMBER, "losses/smooth_l1.yaml", "as huber", "huber divided by its delta (beta): the far slope is always 1",
        _NUMBERS),
    Row(NUMBER, "losses/rmse.yaml", "the loss is to be read in the target's unit", "same minimum as mse; the gradient"
        " has the same length however small the error", _NUMBERS),
    Row(NUMBER, "losses/msle.yaml", "positive targets over several powers of ten", "ratios count, not differences; too"
        " low costs more than too high", f"{_NUMBERS} --model.standardize false"),
    Row(PIXELS, "losses/cross_entropy_weighted.yaml", "classes of about equal size", "smooth gradients, calibrated;"
        " small classes drown without weights", _MASKS),
    Row(PIXELS, "losses/dice.yaml", "one class is small", "each class counts alike whatever its size; wants a larger"
        " learning rate than cross-entropy", _MASKS),
    Row(PIXELS, "losses/jaccard.yaml", "judged by intersection over union", "as dice, harder on what is missed or too"
        " much", _MASKS),
    Row(PIXELS, "losses/tversky.yaml", "a miss is worse than a false alarm, or the reverse", "dice with a price for"
        " each", _MASKS),
    Row(MASK, "losses/bce_logits.yaml", "both are about as large", "smooth gradients, calibrated", _MASK),
    Row(MASK, "losses/dice_binary.yaml", "what is asked for is small", "the overlap counts, however much background"
        " there is", _MASK),
    Row(MASK, "losses/focal_sigmoid.yaml", "most of the background is easy", "its easy pixels count little", _MASK),
    Row(IMAGES, "losses/adversarial_non_saturating.yaml", "the first choice", "the generator learns most while its"
        " fakes are bad", _GAN),
    Row(IMAGES, "losses/adversarial_least_squares.yaml", "training swings", "fakes keep a gradient however sure the"
        " discriminator is", _GAN),
    Row(IMAGES, "losses/adversarial_hinge.yaml", "with spectral normalisation", "the discriminator stops learning"
        " from what it tells apart by a margin", f"{_GAN} --model.discriminator"
        " networks/dcgan_discriminator_spectral.yaml"),
]  # fmt: skip


def main(args: list[str]) -> None:
    """Print the guide.

    Args:
        args: Words that must occur in a row, e.g. `["pixel"]`; `--markdown` prints the table of the docs.
    """
    parser = LightParser("descent guide", __doc__)
    parser.add_argument("words", nargs="*", help="show rows with these words only, e.g. rare")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument("--markdown", action="store_true", help="as a table for the docs")
    given = parser.parse_args(args)
    rows = [row for row in GUIDE if all(word.lower() in " ".join(row).lower() for word in given.words)]
    if not rows:
        parser.error(f"nothing about {' '.join(given.words)}; the tasks are: {', '.join(tasks())}")
    if given.json:
        print(json.dumps([row._asdict() | {"command": row.command} for row in rows], indent=2, ensure_ascii=False))
        return
    print(markdown(rows) if given.markdown else plain(rows, shutil.get_terminal_size().columns), end="")


def tasks() -> list[str]:
    """The tasks, in order."""
    return list(dict.fromkeys(row.task for row in GUIDE))


def plain(rows: list[Row], width: int) -> str:
    """The rows by task, wrapped to a screen."""
    lines = []
    for task in dict.fromkeys(row.task for row in rows):
        lines += [f"To predict {task}:", ""]
        for row in rows:
            if row.task == task:
                lines.append(f"  {row.preset}")
                lines += textwrap.wrap(f"{row.when}: {row.why}.", width - 6, initial_indent=" " * 6,
                                       subsequent_indent=" " * 6)  # fmt: skip
                lines += [f"      {row.command}", ""]
    return "\n".join(lines)


def markdown(rows: list[Row]) -> str:
    """A table for the docs."""
    lines = ["| to predict | when | loss | why | train it |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {row.task} | {row.when} | `{row.preset}` | {row.why} | `{row.command}` |" for row in rows]
    return "\n".join(lines) + "\n"

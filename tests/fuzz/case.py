"""A generated mistake, and the words and values that it is made of."""

import random
from dataclasses import dataclass

from tests.fuzz.schema import keys

QUICK = (
    "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1",
    "--trainer.limit_test_batches=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
)  # fmt: skip
OF_COMMAND = {"profile": ("--steps=3", "--tries=false"), "find-lr": ("--steps=20", "--repeats=1")}
FEW = dict.fromkeys(
    ("segmentation", "segmentation_binary", "multilabel"), ("--data.pictures=120", "--data.batch_size=8")
)
"""Options of bases whose search for a rate would take a minute."""
COMMANDS = (*("fit",) * 8, "test", "validate", "show schedule", "profile", "find-lr")
VALUES = (
    "-1", "0", "1e30", "nan", "inf", "-inf", "some text", "null", "[a]", "{a: 1}", "true", "[]", "", "1.5", "ü",
    "[1, nan]", "{}", "2", "100", "-0.5", "0x10", "1e-400", "[[1]]", "~", "${x}", "99999999999999999999", "'", "a: b",
    "1,5", "10k", "50%", "yes", "None", "1_000", "0.5.5", "1e", "[-1, -1]", "[0.9, 2]", "*", "@", "%", "!x", "a\nb", " 3 ",
    "mistake.yaml", "quickstart.yaml", "losses/mse.yaml", ".", "1e400", "-0", "[1, 2, 3, 4, 5]", "[null]", "[true]",
)  # fmt: skip
CLASSES = (
    "NoSuchClass", "torch.nn.NoSuchClass", "nowhere.Class", "torch.optim.SGD", "torch.nn.Linear", "math.pi",
    "os.getcwd", ".", "..Class", "a b", "losses/nosuch.yaml", "nosuch.yaml", "torch.nn", "pathlib.Path",
    "torch.optim.Adma", "builtins.dict", "{class_path: null}", "{class_path: 3}", "{init_args: {a: 1}}",
    "{class_path: torch.optim.SGD, init_args: 3}", "{class_path: torch.nn.Linear, init_arg: {}}", "[torch.nn.ReLU]",
    "torch.nn.Module", "torch.optim.Optimizer", "collections.abc.Sized", "unittest.mock.Mock", "losses/focal.yml",
    "losses/focal", "mistake.py", "mistake.Raises", "mistake.Untyped", "mistake.value", "mistake.Nothing", "torch",
    "lightning_modules.ImageClassifier", "lightning_modules", "datamodules.Digits", "Digits", "Adam", "adam", "MSELoss",
    "torch.nn.functional.relu", "torch.nn.MSELoss()", "<class 'torch.nn.MSELoss'>", "torch/nn/MSELoss", "{}", "[]", "3",
    "[{class_path: NoSuch}]", "{class_path: torch.nn.MSELoss, init_args: {nosuch: 1}}", "{class_path: [a]}", "schedulers",
    "{class_path: torch.nn.MSELoss, init_args: [1]}", "{clas_path: torch.nn.MSELoss}", "{torch.nn.MSELoss: {}}", "null",
    "{class_path: torch.nn.MSELoss, initargs: {reduction: sum}}", "optimizers/sgd.yaml", "losses/mse.yaml", "${x}",
    "{class_path: mistake.Raises}", "{class_path: torch.nn.MSELoss, class_path: torch.nn.L1Loss}", "callbacks.NoSuch",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A command with a mistake in it.

    Args:
        words: The command line.
        kind: One of `MAKERS`.
        key: The key that holds the mistake; empty if it is in a file as a whole.
        meant: The right key, for a misspelt one.
        file: Bytes of `mistake.yaml` in the working folder.
        needs_run: Whether a finished run lies in the working folder's `runs/`, and images in `images/`.
    """

    words: tuple[str, ...]
    kind: str
    key: str = ""
    meant: str = ""
    file: bytes | None = None
    needs_run: bool = False


@dataclass(frozen=True)
class Start:
    """What a case starts from: a command, and the config that it is given.

    Args:
        command: The command.
        base: Name of a shipped config.
        preset: An option that chooses a preset, or an empty text.
    """

    command: str
    base: str
    preset: str

    @property
    def options(self) -> tuple[str, ...]:
        """Options that keep the run short, and the preset."""
        few = FEW.get(self.base, ()) if self.command in OF_COMMAND else ()
        return (*QUICK, *OF_COMMAND.get(self.command, ()), *few, *([self.preset] if self.preset else []))

    @property
    def words(self) -> tuple[str, ...]:
        """A command line without a mistake."""
        return (*self.command.split(), "-c", f"configs/{self.base}.yaml", *self.options)

    @property
    def keys(self) -> list[str]:
        """Every key that could be given."""
        return keys(self.base, self.preset)


def wrong_word(choose: random.Random, word: str) -> str:
    """Return a word with one slip of the fingers; sometimes it is the word itself, or empty."""
    place, letter = choose.randrange(len(word)), choose.choice("abcdeiorst")
    return choose.choice((
        word[:place] + word[place + 1 :], word[:place] + word[place] + word[place:],
        word[:place] + letter + word[place + 1 :], word.replace("_", "", 1), word + "s",
        word[:place] + word[place : place + 2][::-1] + word[place + 2 :], word.replace("_", "-"), word.title(),
    ))  # fmt: skip

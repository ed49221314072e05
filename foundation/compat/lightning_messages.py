"""Texts of Lightning that Descent recognizes: lines of its log, warnings, names of actions in its profilers.

None of them is part of Lightning's public API, and it has no switch to turn off a single line.
"""

import logging
import re
import warnings
from typing import Any

from foundation.terminal.log_lines import fit_lines

LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "lightning.fabric.utilities.distributed",
    "lightning.pytorch.accelerators.cuda",
    "lightning.pytorch",
    "lightning.fabric",
)
"""Names of the loggers that Lightning writes its lines to; a filter on a parent does not see a child's lines."""

LOG_LINES = (
    "GPU available",
    "TPU available",
    "💡 Tip",
    "Seed set to",
    "[rank: ",  # followed by "Seed set to"
    "Initializing distributed",
    "LOCAL_RANK: ",
    "-" * 100,  # the banner of the processes
    "Loading `train_dataloader`",
    "`weights_only` was not set",
    "Restoring states from the checkpoint path",
    "Loaded model weights from",
    "Restored all states from",
    "`Trainer.fit` stopped",
    "`Trainer(",  # followed by a flag as it was given, "was configured so …"
    "Using 16bit Automatic Mixed Precision",
    "Using bfloat16 Automatic Mixed Precision",
)
"""Beginnings of lines that Lightning logs in every run and that help nobody here."""

FEW_WORKERS = ".*does not have many workers.*"
WARNINGS = (
    FEW_WORKERS,  # the data lies in memory: workers would only copy it
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    # The modules reduce these themselves, and RankGuard checks that the values agree on all ranks.
    ".*recommended to use `self.log\\('(train|val|test)/(loss|accuracy|accuracy_top5)'.*sync_dist=True.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    # Lightning's own call of jsonargparse; shown with `python -W default` only
    "(?s).*JsonargparseDeprecationWarning",
    "(?s).*instantiate_classes.* was deprecated",
)
"""Patterns of warnings that Lightning gives in every run and that help nobody here."""

MISTAKES = {
    r"`val_check_interval` \((\d+)\) must be less than or equal to the number of the training batches \((\d+)\)": (
        "trainer.val_check_interval is {0}, but an epoch has {1} training batches: set it to at most {1}, or set"
        " trainer.check_val_every_n_epoch to null to count batches over the whole run."
    ),
    r"Early stopping conditioned on metric `(.*?)` which is not available.*?: (.*)": (
        "EarlyStopping monitors {0!r}, which is not logged. Logged: {1}."
    ),
}
"""Patterns of errors that Lightning raises as `ValueError` or `RuntimeError` for a mistake in a config, reworded."""


def mistake_in(message: str) -> str | None:
    """Return what a user has to change, if an error's message is one of `MISTAKES`.

    Example:
        >>> mistake_in("some other error")
    """
    for pattern, text in MISTAKES.items():
        if found := re.search(pattern, " ".join(message.split())):
            return text.format(*(group.replace("`", "") for group in found.groups()))
    return None


ADVICE = (
    (
        r"No supported gpu backend found!|No supported devices found",
        "trainer.accelerator asks for a GPU, but torch finds none on this machine: use cpu or auto.",
    ),
    (
        r"requires a GPU accelerator",
        "trainer.strategy fsdp shards over GPUs, and this run has none: strategies/fsdp2.yaml also shards over "
        "processes on the CPU.",
    ),
    (
        r"You requested to check (?P<share>[\d.]+) of the `val_dataloader` but (?P=share) \* (?P<batches>\d+) < 1",
        "{share} of the {batches} validation batches is less than one batch: give trainer.limit_val_batches, or "
        "trainer.overfit_batches if that is what you set, as a number of batches.",
    ),
    (
        r"`Timer\(duration='(?P<given>[^']*)'\)` is not a valid duration",
        "{given} is not a duration (trainer.max_time, or that of Timer): write DD:HH:MM:SS, such as 00:12:00:00 for "
        "twelve hours.",
    ),
    (
        r"Requirement 'transformer_engine.*' not met",
        "trainer.precision transformer-engine needs NVIDIA's package transformer_engine, which is not installed: use "
        "bf16-mixed.",
    ),
    (
        r"Requirement 'torch_xla.*' not met",
        "trainer.accelerator tpu needs the package torch_xla, which is not installed: choose another accelerator.",
    ),
    (
        r"You selected an invalid strategy name: `strategy='(?P<name>[^']*)'`",
        "unknown trainer.strategy {name}: use auto, ddp, strategies/fsdp.yaml or strategies/fsdp2.yaml.",
    ),
)
"""Errors of Lightning whose advice does not help in a config, by pattern, and what to say instead."""


def reworded(message: str) -> str:
    """Return an error of Lightning with advice for a config, where `ADVICE` has any; else the message itself.

    Example:
        >>> reworded("No supported gpu backend found!")
        'trainer.accelerator asks for a GPU, but torch finds none on this machine: use cpu or auto.'
    """
    for pattern, advice in ADVICE:
        if found := re.search(pattern, message):
            return advice.format(**found.groupdict())
    return message


PROFILED_STEPS = {
    "train_dataloader_next": "next batch",
    "batch_to_device": "transfer",
    "training_step": "training step",
    "backward": "backward",
    "configure_gradient_clipping": "clipping",
    "optimizer_step": "optimizer step",
    "optimizer_zero_grad": "zero grad",
}
"""What an action is, by the end of the name that Lightning gives it when it calls a profiler."""


def profiled_step(action: str) -> str | None:
    """Return what part of a step an action of a profiler is, or `None` for an action that wraps such parts.

    Example:
        >>> profiled_step("[Strategy]SingleDeviceStrategy.backward"), profiled_step("run_training_epoch")
        ('backward', None)
    """
    return PROFILED_STEPS.get(action.rpartition(".")[2])


def profiled_callback(action: str) -> str | None:
    """Return the class of the callback whose hook an action is, or `None`.

    Example:
        >>> profiled_callback("[Callback]ModelCheckpoint{'monitor': None}.on_train_batch_end")
        'ModelCheckpoint'
        >>> profiled_callback("[Strategy]SingleDeviceStrategy.backward")
    """
    if not action.startswith("[Callback]"):
        return None
    return action.removeprefix("[Callback]").partition("{")[0].partition(".")[0]


def quiet() -> None:
    """Hide messages and warnings that Lightning prints in every run and that do not help here; fold the others."""
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith(LOG_LINES))
    fit_lines(log_handlers())


def log_handlers() -> "list[logging.StreamHandler[Any]]":
    """Return the handlers that write Lightning's log to a stream."""
    found = [each for name in ("lightning.pytorch", "lightning.fabric") for each in logging.getLogger(name).handlers]
    return [each for each in found if type(each) is logging.StreamHandler]

"""Hide what Lightning prints in every run."""

import logging
import warnings

HIDDEN_MESSAGES = (
    "GPU available",
    "TPU available",
    "HPU available",
    "💡 Tip",
    "Seed set to",
    "[rank: ",  # the seed
    "Initializing distributed",
    "-" * 100,  # Lightning's banner before training on several processes
    "Loading `train_dataloader`",
    "`weights_only` was not set",
    "Restoring states from the checkpoint path",
    "Loaded model weights from",
    "Restored all states from",
    "`Trainer.fit` stopped",
    "You are using the plain ModelCheckpoint",
    "Using 16bit Automatic Mixed Precision",
    "Using bfloat16 Automatic Mixed Precision",
)
HIDDEN_WARNINGS = (
    ".*does not have many workers.*",  # for images in memory, which workers would only copy
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    # The modules average these over the processes themselves, and RankGuard checks it.
    ".*recommended to use `self.log\\('(train|val|test)/(loss|accuracy|accuracy_top5)'.*sync_dist=True.*",
    ".*Experiment logs directory .* exists and is not empty.*",
)


def quiet() -> None:
    """Hide messages and warnings that Lightning prints in every run and that do not help here."""
    for message in HIDDEN_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.fabric.utilities.seed",
        "lightning.fabric.utilities.distributed",
        "lightning.pytorch",
        "lightning.fabric",
    ):
        logging.getLogger(name).addFilter(lambda record: not record.getMessage().startswith(HIDDEN_MESSAGES))

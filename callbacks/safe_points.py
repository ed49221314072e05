"""Where in a fit a checkpoint can be taken such that a resume loses nothing, seen through the public Trainer."""

from lightning.pytorch import Trainer


def validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation comes right after this training batch, by the counts that the Trainer was given.

    A checkpoint taken just before it would skip that validation on a resume.
    """
    every_epochs = trainer.check_val_every_n_epoch
    every_batches = trainer.val_check_batch
    if not trainer.enable_validation or every_batches is None:  # None: validation by the clock
        return False
    if every_epochs is None:
        return bool((trainer.fit_loop.total_batch_idx + 1) % every_batches == 0)
    return bool((trainer.current_epoch + 1) % every_epochs == 0 and (batch_idx + 1) % every_batches == 0)


def is_final_epoch(trainer: Trainer) -> bool:
    """Whether the epoch that ends now is the fit's last."""
    epochs_done = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 >= trainer.max_epochs
    return bool(epochs_done or is_stopping(trainer))


def is_stopping(trainer: Trainer) -> bool:
    """Whether the fit ends now, be it in mid-epoch: enough steps, or a callback said so."""
    return bool(trainer.should_stop or (trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps))

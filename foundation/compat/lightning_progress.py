"""Lightning's progress bar."""

from lightning.pytorch.callbacks import RichProgressBar


class BarFromOne(RichProgressBar):
    """A bar that counts epochs from 1, as every other line does; Lightning's says `Epoch 0/14` in the first of 15."""

    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        text = f"epoch {current_epoch + 1}" + (f"/{epochs}" if epochs is not None and epochs > 0 else "")
        return f"{text:{len(self.validation_description)}}"  # padded, so that validation does not move the bar

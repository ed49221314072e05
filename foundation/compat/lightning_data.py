"""Private parts of Lightning's fit loop that make the loader of the training data, and set its position on a resume."""

from typing import Any

from lightning.pytorch import Trainer


def loader_positions(trainer: Trainer) -> list[dict[str, Any]]:
    """Return the states of loaders in the checkpoint that a fit resumes from, unless it is of the end of an epoch.

    It may have been saved after a fit that `max_steps` ended within an epoch.
    """
    loop = trainer._checkpoint_connector._loaded_checkpoint.get("loops", {}).get("fit_loop", {})
    states: list[dict[str, Any]] = loop.get("state_dict", {}).get("combined_loader", [])
    return states if states and not loop["epoch_loop.batch_progress"]["is_last_batch"] else []


def load_training_data(trainer: Trainer) -> None:
    """Make the loader of a fit's training data, at the position of the checkpoint that the fit resumes from.

    A schedule needs it in `configure_optimizers`. Lightning reads the positions of loaders with a `state_dict` later,
    and passes them over where the loader exists: the resumed run would repeat the data from its beginning.
    """
    loop = trainer.fit_loop
    if states := loader_positions(trainer):
        loop._combined_loader_states_to_load, loop._restarting = states, True
    loop.setup_data()
    if states:
        loop._restarting = False  # until its own state is loaded


def forget_training_data(trainer: Trainer) -> None:
    """Let the fit make its loader again, which read the position in the data before the checkpoint was loaded.

    A strategy that shards loads the checkpoint only after `configure_optimizers`, where a schedule needs the loader.
    """
    loop = trainer.fit_loop
    if loop._combined_loader is None:
        return
    if loop._data_fetcher is not None:
        loop._data_fetcher.teardown()
    loop._combined_loader = loop._data_fetcher = None

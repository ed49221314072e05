"""Arguments that a run has beside trainer, module and data, and those that the module takes from the data."""

from lightning.pytorch.cli import LightningArgumentParser

import callbacks
from callbacks.checkpointing.checkpoint import DurableCheckpoint

DEFAULT_MODULE = {"class_path": "lightning_modules.ImageClassifier"}

for _name in callbacks.__all__:  # a config may name one without its package once it is imported
    getattr(callbacks, _name)


def add_run_arguments(parser: LightningArgumentParser) -> None:
    """Add `--experiment`, `--preflight`, `--checkpoint`, and the links from the data to the networks."""
    parser.add_argument(
        "--experiment",
        type=str | None,
        default=None,
        help="Name of the experiment; by default that of the config file. The run's folder is ROOT/EXPERIMENT/N.",
    )
    parser.add_argument(
        "--preflight",
        type=bool,
        default=True,
        help="Check the first batch for mistakes: probabilities for logits, targets that broadcast, …",
    )
    for name in callbacks.__all__:  # jsonargparse accepts a class by its bare name only if it is imported
        getattr(callbacks, name)
    parser.add_lightning_class_args(DurableCheckpoint, "checkpoint")
    parser.set_defaults({"model": DEFAULT_MODULE, "trainer.default_root_dir": "runs"})
    links = {"network.init_args.num_classes": "num_classes", "network.init_args.in_channels": "channels"}
    links |= {f"{network}.init_args.channels": "channels" for network in ("generator", "discriminator")}
    for target, source in links.items():
        parser.link_arguments(f"data.{source}", f"model.init_args.{target}", apply_on="instantiate")

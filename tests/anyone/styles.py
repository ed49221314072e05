"""The table of styles: a module that somebody else would write, and its data."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule

from tests.anyone import batches, manual, plain, sequences, structures
from tests.anyone.data import (
    Listed,
    Noisy,
    Pair,
    Points,
    Stream,
    VectorsModule,
    collated,
    dicts,
    loaders,
    pairs,
    two_inputs,
)
from tests.anyone.data import sequences as token_sequences


@dataclass(frozen=True)
class Style:
    """A module and its data.

    Args:
        module: Makes the module.
        data: Makes a pair of loaders or a data module; `None`: the module brings its own.
        trains: Whether it has an optimizer.
        place: Name of the module behind which a test plants a NaN; its first parameter is planted too.
    """

    module: Callable[[], LightningModule]
    data: Callable[[], Any] | None = loaders
    trains: bool = True
    place: str = "net"


STYLES: dict[str, Style] = {
    "metrics named train_loss and val_acc": Style(plain.Plain),
    "the loss in a dict": Style(plain.ReturnsDict),
    "self.logger.experiment in the step": Style(plain.LogsToTheExperiment),
    "self.trainer.datamodule in the step": Style(plain.ReadsTheDataModule, VectorsModule),
    "random augmentation in the data set": Style(plain.Plain, partial(VectorsModule, noisy=True)),
    "OneCycleLR over estimated_stepping_batches": Style(plain.OneCycleOfTheRun),
    "optimizer and scheduler callables of LightningCLI": Style(plain.Callables),
    "batch.pop in the step": Style(batches.PopsTheTarget, dicts),
    "outputs kept until the epoch ends": Style(plain.KeepsOutputs),
    "a lock as an attribute": Style(plain.HoldsALock),
    "trainer.checkpoint_callback in the step": Style(plain.ReadsTheCheckpoint),
    "a loss weight by current_epoch / max_epochs": Style(plain.AnnealsByEpoch),
    "a loss weight by global_step": Style(plain.AnnealsByStep),
    "a warmup in optimizer_step": Style(plain.WarmsUpByHand),
    "an average of the weights by hand": Style(plain.OwnAverage),
    "LBFGS": Style(plain.LBFGSClosure),
    "lazy layers": Style(plain.Lazy),
    "a network built in setup": Style(plain.BuildsInSetup),
    "two encoders": Style(structures.TwoEncoders, two_inputs, place="image.0"),
    "a layer called three times": Style(structures.SharedLayer, place="leave"),
    "checkpointed activations": Style(structures.CheckpointedActivations, place="middle.0"),
    "checkpointed activations, reentrant": Style(structures.ReentrantCheckpoint, place="middle.0"),
    "activations as functions": Style(structures.FunctionalReLU, place="second"),
    "a ScriptModule": Style(structures.Scripted, place="after"),
    "its own loaders": Style(batches.BringsItsLoaders, None),
    "no optimizer": Style(plain.NoOptimizer, trains=False),
    "training_step(batch) alone": Style(batches.StepOfABatch),
    "dataloader_iter": Style(batches.TakesTheIterator),
    "batches of a dataclass": Style(batches.DataclassBatch, partial(collated, Points)),
    "batches of a named tuple": Style(batches.NamedTupleBatch, partial(collated, Pair)),
    "a criterion, metrics named loss/train": Style(plain.OtherNameOfTheLoss),
    "parameters in bfloat16": Style(plain.HalfParameters),
    "a frozen backbone and a forgotten parameter": Style(plain.FrozenBackbone),
    "ReduceLROnPlateau": Style(plain.Plateau),
    "torchmetrics objects": Style(plain.MetricObjects),
    "a step that skips batches": Style(batches.SkipsBatches),
    "manual optimization": Style(manual.Manual),
    "manual optimization with a closure": Style(manual.ManualClosure),
    "own clipping and accumulation": Style(manual.ClipsAndAccumulates),
    "two optimizers, toggled": Style(manual.TwoOptimizers, place="critic.0"),
    "two optimizers, one of them rarely": Style(manual.OneRarely, place="critic.0"),
    "a GRU on sequences": Style(sequences.Recurrent, token_sequences),
    "a transformer with a causal mask": Style(sequences.Transformer, token_sequences),
    "a sparse embedding": Style(sequences.SparseEmbedding, token_sequences),
    "an IterableDataset": Style(plain.Plain, lambda: loaders(Stream())),
    "a loader with workers": Style(plain.Plain, partial(VectorsModule, noisy=True, workers=1)),
    "a list of samples": Style(plain.Plain, lambda: loaders(Noisy(pairs()), Listed(pairs()[:8]))),
}

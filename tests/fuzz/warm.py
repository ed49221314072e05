"""Make a case cheap: parsers are built once, before the cases are forked, and a run writes no figures."""

import contextlib
import gc
import importlib
import io
from collections.abc import Iterator
from unittest.mock import patch

from callbacks.reporting.first_images import FirstImages
from callbacks.reporting.learning_curves import LearningCurves
from cli import main
from foundation.compat.lightning_messages import quiet
from tests.fuzz.case import COMMANDS, QUICK
from tests.fuzz.schema import BASES

REPORTS = ((LearningCurves, "on_fit_end"), (FirstImages, "on_train_start"))
"""What draws figures, which takes longer than the training of a case."""
LAZY = (
    "descent.studies.comparison",
    "descent.commands.predict",
    "descent.commands.evaluate",
    "descent.commands.export",
)
"""What commands import when they are called."""


@contextlib.contextmanager
def warmed() -> Iterator[None]:
    """Build every command's parser, and those of the classes that the configs name."""
    quiet()
    with contextlib.ExitStack() as stack:
        for kind, hook in REPORTS:
            stack.enter_context(patch.object(kind, hook, lambda *args, **kwargs: None))
        for command, base in [*(("fit", base) for base in BASES), *((name, "quickstart") for name in set(COMMANDS))]:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
                main([*command.split(), "-c", f"configs/{base}.yaml", *QUICK, "--nosuch=1"])
        for module in LAZY:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # a fork's collector would otherwise copy every page
        yield
        gc.unfreeze()

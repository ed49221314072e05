"""`descent replay`: repeat the step that produced a NaN or infinity, and name the first layer with such a value."""

from functools import cache, partial
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError

USAGE = """\
usage: descent replay FILE [--accelerator NAME]

Repeats the training step that callbacks.BlackBox saved because a value was not finite, and says
where the first such value appears. Exit code 0: the same as in the run; 1: not.

  FILE                 black_box.pt in a run's folder
  --accelerator NAME   cpu, gpu, … (default: the best that the machine has)
"""


def main(args: list[str]) -> None:
    """Repeat the step and print what was found; `args` are the words after `descent replay`.

    Raises:
        SystemExit: With 1 if the fault was not reproduced.
    """
    parser = CommandParser("replay", USAGE)
    parser.add_argument("file", type=Path)
    parser.add_argument("--accelerator", default="auto")
    options = parser.parse_args(args)
    with mistakes_in_one_line("stopped."):
        found, saved = replay_file(options.file, options.accelerator)
    print(f"saved     {saved}")
    print(f"replayed  {found or 'everything is finite'}")
    if str(found) != str(saved):
        raise SystemExit(1)


def replay_file(path: Path, accelerator: str = "auto") -> tuple[Any, Any]:
    """Return the fault found when the step is repeated, and the fault saved in the file.

    Raises:
        UserError: The file has no config, because the module was created in Python.
    """
    from callbacks.non_finite.replay import read_black_box, replay
    from descent.training.build import build, parse_config
    from foundation.hardware import effective_precision
    from foundation.processes import say
    from foundation.trial.world import World
    from lightning_modules.weights.needed import weights_from_checkpoint

    content = read_black_box(path)
    if content["config"] is None:
        raise UserError(
            f"{path} has no config, because the module was created in Python: use "
            "callbacks.non_finite.replay.replay(path, module)."
        )
    precision, reason = effective_precision(content["precision"], accelerator)
    if reason:
        say(reason)
    options = {"accelerator": accelerator, "precision": precision}
    here = options | {"devices": 1, "num_nodes": 1, "strategy": "auto"}  # the run's may not exist on this machine
    with weights_from_checkpoint():
        built = build(parse_config(["--config", content["config"]], "fit"), command="fit", trainer_options=here)
    world = World(built.trainer, datamodule=cache(partial(_prepared, built.data)))
    return replay(path, built.module, world, **options), content["fault"]


def _prepared(data: Any) -> Any:
    """Return the data module once the module asks for it, set up as in a fit."""
    data.prepare_data()
    data.setup("fit")
    return data

"""`descent replay FILE`: repeat the step of a black box, and name the first value that is not finite."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from descent.commands.parser import LightParser
from foundation.errors import UserError


def main(args: list[str]) -> None:
    """Repeat the step and say what was found.

    Raises:
        SystemExit: With 1 if the value is not reproduced, with 2 after a user's mistake.
    """
    from descent.training.run_command import fail

    parser = LightParser("descent replay", "Repeat the step that callbacks.BlackBox kept.")
    parser.add_argument("file", type=Path, help="black_box.pt in a run's folder")
    parser.add_argument("--accelerator", default="auto", help="cpu, gpu, …; by default what the machine has")
    parsed = parser.parse_args(args)
    if str(Path.cwd()) not in sys.path:  # classes of the user's own
        sys.path.append(str(Path.cwd()))
    try:
        found, kept = replay_file(parsed.file, parsed.accelerator)
    except (UserError, MisconfigurationException, OSError) as error:
        fail(error)
    print(f"kept      {kept}")
    print(f"replayed  {found or 'everything is finite'}")
    if str(found) != str(kept):
        raise SystemExit(1)


def replay_file(path: Path, accelerator: str = "auto") -> tuple[Any, Any]:
    """The fault when repeated, and that of the file.

    Raises:
        UserError: The file holds no config: the module was made in Python.
    """
    from callbacks.non_finite.replay import read_black_box, replay
    from descent.training.command_line import DescentCLI

    class Rebuilt(DescentCLI):
        """Module and data as in the run, without a run."""

        def before_instantiate_classes(self) -> None:
            pass

        def _run_subcommand(self, subcommand: str) -> None:
            pass

    content = read_black_box(path)
    if content["config"] is None:
        raise UserError(
            f"{path} holds no config, the module was made in Python: callbacks.non_finite.replay.replay(path, module)."
        )
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(content["config"])
        built = Rebuilt(["fit", "--config", str(config)])
    return replay(path, built.model, accelerator=accelerator), content["fault"]

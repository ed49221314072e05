"""`descent replay FILE`: repeat the step of a black box, and name the first value that is not finite."""

import sys
from pathlib import Path
from typing import Any

from descent.commands.parser import LightParser
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError


def main(args: list[str]) -> None:
    """Repeat the step and say what was found.

    Raises:
        SystemExit: With 1 if the value is not reproduced, with 2 after a user's mistake.
    """
    parser = LightParser("descent replay", "Repeat the step that callbacks.BlackBox kept.")
    parser.add_argument("file", type=Path, help="black_box.pt in a run's folder")
    parser.add_argument("--accelerator", default="auto", help="cpu, gpu, …; by default what the machine has")
    parsed = parser.parse_args(args)
    if str(Path.cwd()) not in sys.path:  # classes of the user's own
        sys.path.append(str(Path.cwd()))
    with mistakes_in_one_line():
        found, kept = replay_file(parsed.file, parsed.accelerator)
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
    from descent.training.build import build, parse_config

    content = read_black_box(path)
    if content["config"] is None:
        raise UserError(
            f"{path} holds no config, the module was made in Python: callbacks.non_finite.replay.replay(path, module)."
        )
    built = build(parse_config(["--config", content["config"]], "fit"), command="fit")
    return replay(path, built.module, accelerator=accelerator), content["fault"]

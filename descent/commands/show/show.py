"""`descent show SUBJECT`: figures of what can be chosen."""

import importlib
import sys
import textwrap
from pathlib import Path

from descent.commands.table import SUBJECTS
from descent.training.parse_errors import suggest


def main(args: list[str]) -> None:
    """Draw a subject.

    Args:
        args: The subject and its options.

    Raises:
        SystemExit: With 2 where there is no such subject.
    """
    known = SUBJECTS
    if not args or args[0] in ("-h", "--help"):
        for name, path in known.items():
            lines = textwrap.wrap(first_line(path), 70)
            print(f"descent show {name:<12} " + f"\n{'':26}".join(lines))
        return
    module = known.get(args[0])
    if module is None:
        print(
            f"error: unknown subject {args[0]}: show takes {', '.join(known)}.{suggest(args[0], known)}",
            file=sys.stderr,
        )
        raise SystemExit(2)
    importlib.import_module(module).main(args[1:])


def first_line(module: str) -> str:
    """What a subject's module says of itself."""
    spec = importlib.util.find_spec(module)
    source = Path(spec.origin).read_text() if spec is not None and spec.origin else ""
    return source.partition('"""')[2].partition("\n")[0].strip().removesuffix('"""')

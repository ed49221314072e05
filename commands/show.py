"""`descent show SUBJECT`: figures of what can be chosen."""

import importlib
import pkgutil
import sys
import textwrap
from pathlib import Path

import commands
from commands.messages import suggest


def main(args: list[str]) -> None:
    """Draw a subject: `commands/show_<subject>.py`, whose `main(args)` does it, is all that one needs.

    Args:
        args: The subject and its options.

    Raises:
        SystemExit: With 2 where there is no such subject.
    """
    known = subjects()
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


def subjects() -> dict[str, str]:
    """Subjects that can be shown, with the module of each."""
    found = (module.name for module in pkgutil.iter_modules(commands.__path__) if module.name.startswith("show_"))
    return {name.removeprefix("show_"): f"commands.{name}" for name in sorted(found)}


def first_line(module: str) -> str:
    """What a subject's module says of itself."""
    spec = importlib.util.find_spec(module)
    source = Path(spec.origin).read_text() if spec is not None and spec.origin else ""
    return source.partition('"""')[2].partition("\n")[0].strip().removesuffix('"""')

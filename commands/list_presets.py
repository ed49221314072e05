"""`descent presets`: what can be chosen by a short name, one line each."""

from commands.presets import SHIPPED, names


def main(args: list[str]) -> None:
    """Print every shipped preset with the first line of its comment.

    Args:
        args: Kinds to show, e.g. `["losses"]`; all by default.
    """
    for name in names():
        if args and not any(name.startswith(kind.rstrip("/") + "/") for kind in args):
            continue
        print(f"{name:<36} {summary(name)}")


def summary(name: str) -> str:
    """First line of a preset's opening comment."""
    first = (SHIPPED / name).read_text().splitlines()[:1]
    return first[0].lstrip("# ").strip() if first and first[0].startswith("#") else ""

"""A bar on a terminal, nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def counted(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how many of ``total`` (if it is known) are done; yields what is called with each number of new ones."""
    console = Console(stderr=True)
    seen = console.is_terminal or console.is_jupyter
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not seen) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda count: progress.advance(bar, count)

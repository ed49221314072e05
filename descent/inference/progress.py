"""A progress bar on a terminal; nothing where the output is redirected."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; yields a function that takes the number of items just finished."""
    console = Console(stderr=True)
    disable = not (console.is_terminal or console.is_jupyter)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)

"""The views of a run: live on a terminal, lines in a pipe, JSON lines for machines, nothing when quiet is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO

from personaplex_provision.reports.lines import Lines
from personaplex_provision.reports.plain import Plain
from personaplex_provision.reports.progress import Progress
from personaplex_provision.reports.style import Style

Event = dict[str, Any]


class View(Protocol):
    """What shows a run while it goes on; called from the threads of many hosts."""

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        ...

    def together(self, events: Sequence[Event]) -> None:
        """Takes events that came together."""
        ...

    def say(self, text: str) -> None:
        """Shows lines of ours among those of the events."""
        ...

    def pause(self) -> None:
        """Leaves the terminal to a question."""
        ...

    def resume(self) -> None:
        """Goes on after it."""
        ...

    def close(self) -> None:
        """Shows what is left to show; the terminal is as it was before."""
        ...


def open_view(stream: TextIO, style: Style, progress: Progress, verbosity: int = 0) -> View:
    """The live view where colours are wanted, else lines. `progress` must get the events before the view does."""
    if style.colour and verbosity >= 0:
        from personaplex_provision.reports.live import Live

        return Live(stream, Lines(style, verbosity, live=True), progress)
    return Plain(stream, Lines(style, verbosity))


def tee(*sinks: Callable[[Event], None]) -> Callable[[Event], None]:
    """One report that hands every event to all of `sinks`, in order."""

    def give(event: Event) -> None:
        for sink in sinks:
            sink(event)

    return give

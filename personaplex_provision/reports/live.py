"""The live view of a run on a terminal: a line a host, what runs there now, and above it what has ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as Screen
from rich.text import Text

from personaplex_provision.reports import numbers
from personaplex_provision.reports.lines import COLOURS, Lines
from personaplex_provision.reports.progress import OUTCOMES, HostProgress, Progress, Running
from personaplex_provision.reports.style import one_line

MOST = 20
"Hosts up to which each has its line."
SLOW = 1.0
"Seconds after which a running task shows the last line it printed."
BAR = 24


class Live:
    """Draws `progress`; lines of what has ended scroll by above."""

    def __init__(self, stream: TextIO, lines: Lines, progress: Progress) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._lines = lines
        self._lock = threading.Lock()
        self._picture = Picture(progress)
        self._screen: Screen | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        self.together([event])

    def together(self, events: Sequence[dict[str, Any]]) -> None:
        """Takes events that came together."""
        with self._lock:
            found = [line for event in events for line in self._lines(event)]
            if self._screen is None and any(event["type"] != "summary" for event in events):
                self._screen = self._open()
            if found:
                self._console.print(Text.from_ansi("\n".join(found)), soft_wrap=True)

    def say(self, text: str) -> None:
        """Shows lines of ours above the picture."""
        with self._lock:
            self._console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)

    def pause(self) -> None:
        """Takes the picture away; what scrolled by stays."""
        with self._lock:
            self._stop()

    def resume(self) -> None:
        """The next event brings the picture back."""

    def close(self) -> None:
        """Takes the picture away for good."""
        self.pause()

    def _open(self) -> Screen:
        screen = Screen(self._picture, console=self._console, refresh_per_second=6, transient=True,
                        redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop")
        screen.start()
        return screen

    def _stop(self) -> None:
        if self._screen is not None:
            self._screen.stop()
            self._screen = None


class Picture:
    """What is drawn below the lines: as many rows as the terminal has room for."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, room = options.max_width, max(console.size.height - 2, 3)
        with self._progress.lock:
            rows = self._rows(width, room)
        for row in rows[:room]:
            row.truncate(width - 1, overflow="ellipsis")
            row.no_wrap = True
            yield row

    def _rows(self, width: int, room: int) -> list[Text]:
        hosts = list(self._progress.hosts.values())
        if len(hosts) > min(MOST, room // 2):
            return [self._crowd(hosts), *self._busiest(hosts, width, room - 1)]
        wide = max((len(one.name) for one in hosts), default=0)
        rows: list[Text] = []
        # Every host has its own line first; what runs there gets the room that is left.
        left = room - len(hosts)
        for host in hosts:
            rows.append(_host(host, wide))
            tasks = _tasks(host, width)[: max(left, 0)]
            left -= len(tasks)
            rows += tasks
        return rows

    def _crowd(self, hosts: list[HostProgress]) -> Text:
        phases: dict[str, int] = {}
        for host in hosts:
            word = "unreachable" if host.unreachable else host.phase
            phases[word] = phases.get(word, 0) + 1
        counts = {one: sum(host.counts[one] for host in hosts) for one in OUTCOMES}
        row = Text(f"{len(hosts)} hosts: " + ", ".join(f"{number} {word}" for word, number in phases.items()), "bold")
        _add_counts(row, counts)
        row.append(f"  {numbers.seconds(time.monotonic() - self._progress.began)}", "dim")
        return row

    def _busiest(self, hosts: list[HostProgress], width: int, room: int) -> list[Text]:
        """Hosts whose tasks have run longest."""
        busy = [(task.since, host) for host in hosts for task in host.running.values()]
        rows: list[Text] = []
        seen: set[str] = set()
        wide = max((len(host.name) for _, host in busy), default=0)
        for _, host in sorted(busy, key=lambda one: one[0]):
            if host.name not in seen and len(rows) + 2 <= min(room, MOST):
                seen.add(host.name)
                rows += [_host(host, wide), *_tasks(host, width)[:1]]
        return rows


def _host(host: HostProgress, wide: int) -> Text:
    row = Text(f"{host.name:<{wide}}  ", "bold")
    if host.unreachable:
        row.append("unreachable", "bold red")
        return row
    words = {"planning": f"planning, {host.planned} tasks", "planned": f"planned, {host.pending} to do"}
    row.append(f"{words.get(host.phase, host.phase)}", "red" if host.bad else "cyan")
    _add_counts(row, host.counts)
    if host.undone:
        row.append(f"  {host.undone} undone", "yellow")
    return row


def _add_counts(row: Text, counts: dict[str, int]) -> None:
    for one in OUTCOMES:
        if counts[one]:
            row.append(f"  {counts[one]} {one}", COLOURS[one])


def _tasks(host: HostProgress, width: int) -> list[Text]:
    rows = []
    for task in sorted(host.running.values(), key=lambda one: one.since):
        took = time.monotonic() - task.since
        row = Text(f"    {one_line(task.name, max(width // 2, 20))}")
        row.append(f"  {numbers.seconds(took)}", "dim")
        _add_progress(row, task)
        rows.append(row)
        line = one_line(task.line, max(width - 8, 20))
        if line and took >= SLOW:
            rows.append(Text(f"      {line}", "dim"))
    return rows


def _add_progress(row: Text, task: Running) -> None:
    if task.total > 0:
        share = min(max(task.done / task.total, 0.0), 1.0)
        full = round(share * BAR)
        row.append("  " + "━" * full, "green")
        row.append("━" * (BAR - full), "dim")
        row.append(f" {share:4.0%}  {numbers.progress(task.done, task.total)}")
    elif task.done:
        row.append(f"  {numbers.progress(task.done, 0)}")
    if task.text:
        row.append(f"  {one_line(task.text, 40)}", "dim")

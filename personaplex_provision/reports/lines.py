"""Events as lines of text, for a pipe and for what scrolls by above the live view."""

from __future__ import annotations

import time
from typing import Any

from personaplex_provision.reports import diagnostics, difference, numbers
from personaplex_provision.reports.style import Style, clean, one_line

Event = dict[str, Any]
COLOURS = {"ok": "green", "changed": "yellow", "failed": "red", "blocked": "magenta", "skipped": "cyan"}
MARGIN = " " * 4
PACE = 5.0
"Seconds between two lines about the progress of one task."


class Lines:
    """Turns events into lines. `verbosity`: -1 failures only, 0 every task's end, 1 diffs and output, 2 all."""

    def __init__(self, style: Style, verbosity: int = 0, live: bool = False) -> None:
        self._style = style
        self._verbosity = verbosity
        self._live = live
        "With a live view, what it shows itself is left out."
        self._told: dict[tuple[str, str], float] = {}
        self._names: dict[str, str] = {}
        "What was written of the names of tasks."
        self._words: dict[str, str] = {}
        "And of outcomes."

    def __call__(self, event: Event) -> list[str]:
        """The lines of an event; none for what is not worth one."""
        made = getattr(self, f"_{event['type']}", None)
        found: list[str] = made(event) if made is not None else []
        return found

    def _host_start(self, event: Event) -> list[str]:
        if self._verbosity < 0 or self._live:
            return []
        address = clean(event.get("address") or "")
        where = f" at {address}" if address not in ("", event["host"]) else ""
        how = f" by {event['connection']}" if event.get("connection") else ""
        return [f"{event['host']}: connecting{where}{how}"]

    def _host_end(self, event: Event) -> list[str]:
        if self._verbosity < 1 or self._live or event.get("phase") != "plan" or event.get("unreachable"):
            return []
        return [f"{event['host']}: planned, {event.get('pending', 0)} to change, {event.get('unknown', 0)} to decide"]

    def _task_start(self, event: Event) -> list[str]:
        self._told[event["host"], str(event.get("task"))] = time.monotonic()
        if self._verbosity < 1 or self._live:
            return []
        return [f"{event['host']}: started: {self._name(event)}"]

    def _task_progress(self, event: Event) -> list[str]:
        key = event["host"], str(event.get("task"))
        if self._verbosity < 0 or self._live or time.monotonic() - self._told.get(key, 0.0) < PACE:
            return []
        self._told[key] = time.monotonic()
        done, total = float(event.get("done") or 0), float(event.get("total") or 0)
        text = ", ".join(part for part in (
            one_line(event.get("text") or ""), numbers.progress(done, total) if done or total else "",
        ) if part)
        return [f"{event['host']}: {self._name(event)}: {text}"]

    def _task_output(self, event: Event) -> list[str]:
        return [f"{event['host']}: | {clean(event.get('line', ''))}"] if self._verbosity >= 1 else []

    def _task_end(self, event: Event) -> list[str]:
        outcome = str(event["outcome"])
        if self._verbosity < 0 and outcome != "failed":
            return []
        if outcome in ("skipped", "blocked") and self._live and self._verbosity < 1:
            return []
        word = self._word(outcome)
        took = float(event.get("seconds") or 0)
        time_ = self._style(f" ({numbers.seconds(took)})", "dim") if took >= 0.05 else ""
        tail = f": {one_line(event['reason'])}" if event.get("reason") else ""
        if event.get("ignored"):
            tail += " (ignored)"
        lines = [f"{event['host']}: {word}: {self._name(event)}{time_}{tail}"]
        if event.get("message") is not None and event.get("kind") == "debug":
            lines += [MARGIN + line for line in _message(event["message"])]
        lines += self._details(event)
        if event.get("diagnostic"):
            lines += _indented(diagnostics.render(diagnostics.of_event(event["diagnostic"]), self._style))
        return lines

    def _rollback_task(self, event: Event) -> list[str]:
        outcome = event.get("outcome")
        if outcome is None or (self._verbosity < 0 and outcome != "failed"):
            return []
        word = {"changed": "undone", "skipped": "left as it is"}.get(str(outcome), str(outcome))
        colour = COLOURS.get(str(outcome), "red")
        reason = one_line(event.get("reason") or "")
        lines = [f"{event['host']}: {self._style(word, colour)}: {self._name(event)}{': ' + reason if reason else ''}"]
        lines += self._details(event)
        if event.get("diagnostic"):
            lines += _indented(diagnostics.render(diagnostics.of_event(event["diagnostic"]), self._style))
        return lines

    def _handler_owed(self, event: Event) -> list[str]:
        key = event["host"], f"owed {event.get('task')}"
        if self._verbosity < 1 or key in self._told:
            return []
        self._told[key] = time.monotonic()
        names = ", ".join(one_line(one) for one in event.get("handlers") or ())
        return [f"{event['host']}: notified: {names or self._name(event)}"]

    def _diagnostic(self, event: Event) -> list[str]:
        found = diagnostics.of_event(event)
        if self._verbosity < 0 and found.severity != "error":
            return []
        return clean_lines(diagnostics.render(found, self._style, str(event.get("host") or "")))

    def _details(self, event: Event) -> list[str]:
        if self._verbosity < 1:
            return []
        lines = difference.fields(event, self._style, MARGIN)
        if event.get("preview"):
            lines += difference.text(str(event["preview"]), self._style, MARGIN)
        return lines

    def _word(self, outcome: str) -> str:
        if outcome not in self._words:
            more = ["bold"] if outcome == "failed" else []
            self._words[outcome] = self._style(outcome, COLOURS.get(outcome, "red"), *more)
        return self._words[outcome]

    def _name(self, event: Event) -> str:
        name = event.get("name") or event.get("task") or ""
        if name not in self._names:
            self._names[name] = one_line(name)
        return self._names[name]


def clean_lines(text: str) -> list[str]:
    """The lines of a text."""
    return text.splitlines()


def _message(message: Any) -> list[str]:
    return clean(message if isinstance(message, str) else difference.value(message)).splitlines()


def _indented(text: str) -> list[str]:
    return [MARGIN + line for line in text.splitlines()]

"""Where a command's words go: the document to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from personaplex_provision.errors import Diagnostic, ProvisionError
from personaplex_provision.reports.style import Style, coloured

if TYPE_CHECKING:
    from personaplex_provision.reports.view import View


class Output:
    """One command's output. `verbosity` is -1 (quiet) to 2."""

    def __init__(self, verbosity: int = 0, as_json: bool = False, colour: bool = True) -> None:
        self.verbosity = verbosity
        self.json = as_json
        self.run = ""
        "The run that is going on, for events that are not a host's."
        self.hosts: dict[str, Any] = {}
        "Outcome of every host so far, for the summary of a run that ends early."
        self.view: View | None = None
        self.summed_up = False
        self.out = Style(coloured(sys.stdout, allowed=colour and not as_json))
        self.err = Style(coloured(sys.stderr, allowed=colour))

    @classmethod
    def of(cls, args: argparse.Namespace) -> Output:
        """The output that the flags of a command ask for."""
        quiet = bool(getattr(args, "quiet", False))
        verbosity = -1 if quiet else min(int(getattr(args, "verbose", 0) or 0), 2)
        return cls(verbosity, bool(getattr(args, "json", False)), not getattr(args, "no_color", False))

    def document(self, text: str) -> None:
        """Writes (a part of) the document that was asked for."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def data(self, found: Any) -> None:
        """Writes JSON as the document: on one line with `--json`, else for people."""
        indent = None if self.json else 2
        self.document(json.dumps(found, indent=indent, ensure_ascii=False, default=str) + "\n")

    def say(self, text: str) -> None:
        """Says something beside the document."""
        sys.stderr.write(text if text.endswith("\n") else text + "\n")
        sys.stderr.flush()

    def diagnostic(self, found: Diagnostic) -> None:
        """Shows a diagnostic: on standard error, or as an event with `--json`."""
        if self.json:
            self.event({"type": "diagnostic", **found.as_json()})
        elif self.verbosity >= 0 or found.severity == "error":
            from personaplex_provision.reports.diagnostics import render

            self.say(render(found, self.err))

    def event(self, event: dict[str, Any]) -> None:
        """Writes an event of ours, with what every event has."""
        from personaplex_provision.reports.jsonlines import encode

        self.document(encode({"schema": 1, "ts": round(time.time(), 3), "run": self.run, **event}))

    def failed(self, error: ProvisionError) -> int:
        """Shows all that an error says; with `--json` the summary follows. Returns its exit code."""
        for one in error.diagnostics:
            self.diagnostic(one)
        return self.ended(error.exit_code)

    def ended(self, code: int) -> int:
        """With `--json`, the last line of a run that has not written its own; returns the code."""
        if self.json and not self.summed_up:
            self.event({"type": "summary", "exit": code, "hosts": self.hosts})
            self.summed_up = True
        return code

    def take_hosts(self, event: dict[str, Any]) -> None:
        """Keeps from an event what a summary needs."""
        self.run = str(event.get("run") or self.run)
        if event["type"] == "summary":
            self.summed_up = True
        elif event.get("host") and event["type"] in ("host_start", "host_end"):
            names = ("ok", "changed", "failed", "blocked", "skipped")
            counts: dict[str, Any] = {one: int(event.get(one, 0)) for one in names}
            self.hosts[str(event["host"])] = {**counts, "unreachable": bool(event.get("unreachable", False))}

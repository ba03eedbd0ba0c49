"""What a run's events go through: what is kept of them, and the view that shows them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.events import apart
from personaplex_provision.cli.output import Output
from personaplex_provision.cli.running import Job
from personaplex_provision.reports.jsonlines import JsonLines
from personaplex_provision.reports.plan import render as render_plan
from personaplex_provision.reports.planned import Planned
from personaplex_provision.reports.progress import Progress
from personaplex_provision.reports.style import Style
from personaplex_provision.reports.undoing import Undoing
from personaplex_provision.reports.view import open_view

if TYPE_CHECKING:
    from personaplex_provision.runs.options import Options
    from personaplex_provision.runs.profile import Profile


_USUAL = frozenset({"plan_task", "task_start", "task_progress", "task_output", "task_end", "handler_owed"})
"Events in which only the plan, the progress and the view take an interest."


class Stage:
    """The reports of one run; `report` takes its events."""

    def __init__(self, output: Output, job: Job) -> None:
        self.output = output
        self.job = job
        self.planned = Planned()
        self.undoing = Undoing()
        self.progress = Progress()
        self._profiled: Mapping[str, Any] | None = None
        self._lines = JsonLines(sys.stdout) if output.json else None
        self._view = None if output.json else open_view(sys.stderr, output.err, self.progress, output.verbosity)
        output.view = self._view

    def report(self, event: dict[str, Any]) -> None:
        """Takes an event."""
        event = self.job.final(event)
        if "profile" in event and not self.output.json:
            self._profiled = event["profile"]
            return
        for take in (self.output.take_hosts, self.planned, self.undoing, self.progress, self._view, self._lines):
            if take is not None:
                take(event)

    def together(self, events: list[dict[str, Any]]) -> None:
        """Takes events of one host that came together."""
        if self._view is None or any(event["type"] not in _USUAL for event in events):
            for event in apart(events):
                self.report(event)
            return
        if self.output.verbosity > 0:  # which shows beginnings, too
            events = list(apart(events))
        self.planned.together(events)
        self.progress.together(events)
        self._view.together(events)

    def profile(self, options: Options) -> Profile | None:
        """What gathers where the time goes, when `--profile` was given."""
        if not options.profile:
            return None
        from personaplex_provision.runs.profile import Profile

        return Profile()

    def pause(self) -> None:
        """Leaves the terminal to a question."""
        if self._view is not None:
            self._view.pause()

    def close(self) -> None:
        """Ends the view."""
        if self._view is not None:
            self._view.close()
        if self._profiled:
            from personaplex_provision.reports.profile import render

            profile, self._profiled = self._profiled, None
            self.output.say(render(profile, self.output.err))

    def plan_text(self, style: Style, chains: Mapping[str, Sequence[str]] | None = None) -> str:
        """The plan so far, for people."""
        return render_plan(self.planned, style, self.output.verbosity, chains)

    def summary_text(self) -> str:
        """The end of the run, for people."""
        from personaplex_provision.reports.summary import render

        return render(self.progress, self.output.out, self.output.verbosity)

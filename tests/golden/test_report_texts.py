"""What reports say, word for word: `reports/NAME.txt` holds what the function of the same name makes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from personaplex_provision.reports import history, summary, undoing
from personaplex_provision.reports.lines import Lines
from personaplex_provision.reports.live import Picture
from personaplex_provision.reports.plan import render
from personaplex_provision.reports.planned import Planned
from personaplex_provision.reports.progress import Progress
from personaplex_provision.reports.style import Style
from tests.unit import events

EXPECTED = Path(__file__).parent / "reports"


def _planned() -> Planned:
    found = Planned()
    for one in [*events.plan("gpu1", "10.0.0.1"), *events.plan("gpu2"), *events.unreachable("wsl")]:
        found(one)
    return found


def plan() -> str:
    return render(_planned(), Style(), 0, {"gpu1": ["Make the folder", "Build", "Start if built"]})


def plan_verbose() -> str:
    return render(_planned(), Style(), 1)


def plan_coloured() -> str:
    return render(_planned(), Style(True))


def lines() -> str:
    told = Lines(Style())
    return "\n".join(line for one in [*events.unreachable("wsl"), *events.applied("gpu1")] for line in told(one)) + "\n"


def lines_verbose() -> str:
    told = Lines(Style(), 2)
    return "\n".join(line for one in events.applied("gpu1") for line in told(one)) + "\n"


def summary_failed() -> str:
    progress = Progress()
    counts = {"changed": 1, "failed": 1, "blocked": 1, "skipped": 1}
    end = events.summary(4, gpu1=counts, wsl={"unreachable": True})
    for one in [*events.unreachable("wsl"), *events.applied("gpu1"), end]:
        progress(one)
    return summary.render(progress, Style())


def rollback() -> str:
    found = undoing.Undoing()
    steps = (
        {"name": "Build", "kind": "shell", "action": "none", "diff": [],
         "reason": "it cannot be taken back and has no `undo:`"},
        {"name": "Write the settings", "kind": "template", "action": "undo",
         "preview": "@@ -1 +1 @@\n-port: 8998\n+port: 80",
         "diff": [{"field": "/etc/moshi.yml", "before": "changed", "after": "as before"}]},
        {"name": "Make the folder", "kind": "file", "action": "undo",
         "diff": [{"field": "/opt/moshi", "before": "present", "after": "absent"}],
         "notes": ["/opt/moshi stays: it holds theirs, which this run did not make"]},
        {"name": "Add the port", "kind": "lineinfile", "action": "undo", "preview": "@@ -1 +1,0 @@\n-port: 80",
         "diff": [{"field": "/etc/ports content", "before": "changed", "after": "as before"}],
         "stays": [{"path": "/etc/ports", "field": "mode", "left": "0644", "now": "0600"}]},
        {"name": "Start it", "kind": "systemd_service", "action": "refused", "diff": [],
         "refused": [{"path": "/etc/moshi.yml", "field": "content", "left": "as the run left it",
                      "now": "changed since", "text": "@@ -1 +1 @@\n-port: 8998\n+port: 1"},
                     {"path": "moshi", "field": "state", "left": "started", "now": "stopped"}]},
    )
    for step in steps:
        found(events.event("rollback_task", "gpu1", task=step["name"], undoes=events.RUN, **step))
    return undoing.render(found, Style())


def runs() -> str:
    run = {"run": events.RUN, "who": "ada@desk", "purpose": "apply", "playbook": "/home/ada/site.yml", "outcome": "ok",
           "changed": 2, "reversible": "exact", "ended": None, "undone": False}
    back = {**run, "run": "20261122T190000000-0001", "purpose": "rollback", "playbook": "", "outcome": "failed",
            "reversible": "irreversible"}
    return history.render_list({"gpu1": [{**run, "undone": True}, back], "gpu2": [run]}, Style())


def live() -> str:
    progress = Progress()
    for one in [*events.plan("gpu1"), *events.applied("gpu1")[:5], *events.unreachable("wsl")]:
        progress(one)
    return drawn(progress)


def live_crowd() -> str:
    progress = Progress()
    for number in range(40):
        progress(events.event("host_start", f"node{number:02d}"))
        progress(events.event("task_start", f"node{number:02d}", task="Build", name="Build"))
        if number % 2:
            progress(events.ended(f"node{number:02d}", "Build", "changed"))
    return drawn(progress)


def drawn(progress: Progress) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=90, height=12, color_system=None, force_terminal=False)
    for host in progress.hosts.values():
        for task in host.running.values():
            task.since -= 75
    progress.began -= 100
    console.print(Picture(progress))
    return stream.getvalue()


TEXTS = (plan, plan_verbose, plan_coloured, lines, lines_verbose, summary_failed, rollback, runs, live, live_crowd)


@pytest.mark.parametrize("text", TEXTS, ids=lambda one: one.__name__)
def test_a_report_says_exactly_what_is_expected(text: object) -> None:
    assert callable(text)
    name = getattr(text, "__name__", "")
    made = text().replace("\x1b", "␛")
    assert made == (EXPECTED / f"{name}.txt").read_text(encoding="utf-8")

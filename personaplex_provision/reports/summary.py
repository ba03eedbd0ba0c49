"""The end of a run: a table of hosts, and what to do next."""

from __future__ import annotations

import time

from personaplex_provision.reports.lines import COLOURS
from personaplex_provision.reports.numbers import counted, seconds
from personaplex_provision.reports.progress import OUTCOMES, HostProgress, Progress
from personaplex_provision.reports.style import Style, clean, one_line

MOST = 20
"Hosts up to which each has its line; beyond, only those that failed."


def render(progress: Progress, style: Style, verbosity: int = 0) -> str:
    """The table and the last words."""
    with progress.lock:
        hosts = list(progress.hosts.values())
        shown = hosts if len(hosts) <= MOST or verbosity > 0 else [one for one in hosts if one.bad]
        told = any(one.bad or one.undone or any(one.counts.values()) for one in hosts)
        quiet = verbosity < 0 and not any(one.bad for one in hosts)
        lines = _table(shown, style, progress.phase) if told and not quiet else []
        good = len(hosts) - sum(one.bad for one in hosts)
        if len(shown) < len(hosts):
            lines.append(f"{counted(good, 'host')} done without a failure")
        lines += _words(progress, hosts, style)
    return "\n".join(lines) + "\n"


def _table(hosts: list[HostProgress], style: Style, phase: str) -> list[str]:
    if not hosts:
        return []
    wide = max(4, *(len(one.name) for one in hosts))
    columns: tuple[str, ...] = OUTCOMES
    if phase == "rollback":
        columns = ("undone",)
    elif any(one.undone for one in hosts):
        columns = (*OUTCOMES, "undone")
    lines = [style(f"{'host':<{wide}}" + "".join(f"  {one:>7}" for one in columns), "bold")]
    for host in hosts:
        cells = []
        for one in columns:
            number = host.undone if one == "undone" else host.counts[one]
            cell = f"{number:>7}"
            cells.append(style(cell, COLOURS.get(one, "cyan")) if number else style(cell, "dim"))
        tail = ""
        if host.unreachable:
            tail = style("  unreachable", "red", "bold")
        elif host.exit not in (None, 0, 2):
            tail = style(f"  {_state(host)}", "red", "bold")
        lines.append(f"{clean(host.name):<{wide}}" + "".join(f"  {one}" for one in cells) + tail)
    return lines


def _state(host: HostProgress) -> str:
    words = {3: "failed, rolled back", 4: "failed", 5: "unreachable", 6: "verification failed", 7: "refused",
             8: "locked", 9: "rollback failed", 10: "declined", 130: "interrupted", 143: "interrupted"}
    return words.get(host.exit or 0, one_line(host.error, 40) or f"exit {host.exit}")


def _words(progress: Progress, hosts: list[HostProgress], style: Style) -> list[str]:
    run, code = progress.run, progress.exit or 0
    changed = sum(one.counts["changed"] for one in hosts)
    took = seconds(time.monotonic() - progress.began)
    back = f"provision rollback {run}"
    if progress.phase == "rollback" and code in (0, 130, 143):
        steps = counted(sum(one.undone for one in hosts), "step")
        if code:
            return [style("Interrupted.", "yellow", "bold") + f" {steps} taken back; go on with: provision rollback"]
        if steps.startswith("0 "):
            return [style("Nothing was taken back.", "yellow", "bold")]
        return [style("Taken back.", "green", "bold") + f" {steps} in {took}."]
    if progress.phase == "rollback" and len(hosts) > 1:
        told = _partly(hosts, style)
        return told if code != 9 else [*told, style("A rollback failed: a person is needed.", "red", "bold")]
    if code in (130, 143):
        return [style("Interrupted.", "yellow", "bold") + f" Finish it: provision resume {run}; take it back: {back}"]
    if code == 4:
        return [style("Failed; what was done so far is left.", "red", "bold"),
                f"Finish it: provision resume {run}; take it back: {back}"]
    if code == 3:
        return [style("Failed, and rolled back completely.", "red", "bold")]
    if code == 9:
        return [style("A rollback failed: a person is needed.", "red", "bold") + f" See: provision runs show {run}"]
    if code == 6:
        return [style("Applied, but a verification failed.", "red", "bold") + f" Take it back: {back}"]
    if code == 5:
        told = [style("Hosts could not be reached; run the same command again when they are.", "red", "bold")]
        return [*told, f"{counted(changed, 'change')} made, run {run}. Take it back: {back}"] if changed else told
    if code not in (0, 2):
        return []
    if changed:
        words = style("Done.", "green", "bold") + f" {counted(changed, 'change')} in {took}, run {run}."
        return [f"{words} Take it back: {back}"]
    return [style("Done.", "green", "bold") + " Nothing had to change."]


def _partly(hosts: list[HostProgress], style: Style) -> list[str]:
    """Which hosts were taken back, and which were not."""
    good = [clean(one.name) for one in hosts if not one.bad]
    bad = [f"{clean(one.name)} ({_state(one)})" for one in hosts if one.bad]
    only = ",".join(clean(one.name) for one in hosts if one.bad)
    done = style("Taken back", "green", "bold") + f" on {', '.join(good)}." if good else (
        style("Nothing was taken back.", "yellow", "bold"))
    return [done, style("Not taken back", "red", "bold") + f" on {', '.join(bad)}. Those alone: --limit {only}"]

"""A plan as people read it: what will change on which host, how, and what cannot be taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personaplex_provision.agent.space import human, said
from personaplex_provision.reports import difference
from personaplex_provision.reports.numbers import counted
from personaplex_provision.reports.planned import HostPlanned, Planned, Totals
from personaplex_provision.reports.style import Style, clean, one_line

Event = dict[str, Any]
SYMBOLS = {"none": "=", "create": "+", "update": "~", "delete": "-", "run": "~", "unknown": "?"}
_COLOURS = {"create": "green", "update": "yellow", "delete": "red", "run": "yellow", "unknown": "cyan"}
_WORDS = {"none": "in state", "create": "create", "update": "change", "delete": "delete", "run": "run",
          "unknown": "decided while applying"}
MARGIN = " " * 6
_WORTH = 1_000_000
"Bytes from which on what applying takes of a file system is told, unless less is free there."
_LONG = 12
"Steps of a critical path that are named without -v."
PREVIEW = 40
"Lines of a text diff that are shown without -v."


def render(
    planned: Planned, style: Style, verbosity: int = 0, chains: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The whole plan. `chains` gives the critical path of each host as names of tasks."""
    totals = planned.totals()
    lines: list[str] = []
    if verbosity >= 0:
        steps = Steps(style, verbosity)
        for group in planned.groups():
            quiet = not group[0].pending() and not group[0].unreachable and not _notes(group[0], style)
            if verbosity == 0 and quiet:
                continue
            lines += [*_group(group, style, verbosity, steps, (chains or {}).get(group[0].name, ())), ""]
    lines += _totals(totals, len(planned.hosts), style)
    return "\n".join(lines) + "\n"


def question(totals: Totals) -> str:
    """What applying would do, in one line."""
    text = f"{totals.changes} to change"
    if totals.undecided:
        text += f", {totals.undecided} to decide"
    text += f" on {counted(totals.hosts, 'host')}"
    if totals.irreversible:
        text += f", {totals.irreversible} cannot be undone"
    return text


class Steps:
    """Lines of steps; hosts that plan the same have the same entries, which are written once."""

    def __init__(self, style: Style, verbosity: int) -> None:
        self._style = style
        self._verbosity = verbosity
        self._written: dict[tuple[int, int, int], list[str]] = {}
        self._widths: dict[int, tuple[int, int]] = {}
        "Of kind and name, by the identity of the entry."

    def lines(self, entries: Sequence[Event]) -> Iterator[str]:
        """What is said of the steps, in columns."""
        for entry in entries:
            if id(entry) not in self._widths:
                self._widths[id(entry)] = len(str(entry.get("kind", ""))), len(_name(entry))
        widths = [self._widths[id(entry)] for entry in entries]
        kinds = max((kind for kind, _ in widths), default=0)
        names = min(max((name for _, name in widths), default=0), 60)
        for entry in entries:
            key = id(entry), kinds, names
            if key not in self._written:
                self._written[key] = _task(entry, self._style, self._verbosity, kinds, names)
            yield from self._written[key]


def _group(
    group: list[HostPlanned], style: Style, verbosity: int, steps: Steps, chain: Sequence[str],
) -> list[str]:
    first = group[0]
    lines = [_header(group, style)]
    if first.unreachable:
        return [*lines, f"  {style('unreachable: not planned', 'red')}"]
    lines += steps.lines([one for one in first.entries if one["action"] != "none" or verbosity > 0])
    later = sum(bool(one.get("later")) for one in first.entries)
    checks = sum(bool(one.get("verify")) for one in first.entries)
    same = sum(one["action"] == "none" and not one.get("skipped") for one in first.entries) - later - checks
    skipped = sum(bool(one.get("skipped")) and one["action"] == "none" for one in first.entries)
    counts = ((same, "in state"), (later, "checked on the way"), (checks, "verified afterwards"), (skipped, "skipped"))
    rest = [f"{number} {words}" for number, words in counts if number]
    if rest:
        lines.append(style(f"  = {', '.join(rest)}", "dim"))
    lines += [*_notes(first, style), *_space(group, style)]
    if len(chain) > 1 and len(first.pending()) > 1:
        names = [one_line(one, 40) for one in chain]
        if verbosity < 1 and len(names) > _LONG:
            half = _LONG // 2
            names[half:-half] = [f"… {len(names) - 2 * half} more (-v shows them) …"]
        path = " → ".join(names)
        lines.append(style(f"  critical path ({counted(len(chain), 'step')}): {path}", "dim"))
    return lines


def _notes(host: HostPlanned, style: Style) -> list[str]:
    """What `debug` says that is known already, as applying will say it."""
    found = [(one, one["result"]) for one in host.entries if one.get("kind") == "debug" and "result" in one]
    return [style(f"  {_name(one)}: {one_line(clean(str(result.get('msg', ''))), 400)}", "dim")
            for one, result in found if not result.get("verbosity")]


def _space(group: list[HostPlanned], style: Style) -> list[str]:
    """What applying takes of each file system, where that is worth a thought."""
    lines = []
    for number, one in enumerate(group[0].space):
        free = min(host.space[number]["free"] for host in group)
        if one["needed"] < _WORTH and one["needed"] * 10 < free:
            continue
        text = f"{clean(said(one))}; {'at least ' * (len(group) > 1)}{human(free)} free"
        lines.append("  " + (style(text, "red") if one["needed"] > free else style(text, "dim")))
    return lines


def _header(group: list[HostPlanned], style: Style) -> str:
    if len(group) == 1:
        host = group[0]
        where = f" ({clean(host.address)})" if host.address not in ("", host.name) else ""
        return style(f"host {clean(host.name)}", "bold") + where
    names = [clean(one.name) for one in group]
    listed = ", ".join(names if len(names) <= 8 else [*names[:7], f"… {len(names) - 7} more"])
    return style(f"{len(group)} hosts", "bold") + f" with the same plan: {listed}"


def _task(entry: Event, style: Style, verbosity: int, kinds: int, names: int) -> list[str]:
    action = str(entry["action"])
    symbol = SYMBOLS.get(action, "?")
    lasting = entry.get("reversible") == "irreversible" and action != "none"
    colour = _COLOURS.get(action)
    mark = style(symbol, colour) if colour else symbol
    mark += style("!", "red", "bold") if lasting else " "
    tail = _tail(entry, action, lasting, style)
    name = _name(entry)
    line = f"  {mark} {clean(entry.get('kind', '')):<{kinds}}  {name:<{names}}  {tail}"
    lines = [line.rstrip()]
    if entry.get("problem"):
        for key in ("detail", "hint"):
            told = clean(entry.get(key, "")).strip()
            lines += [f"{MARGIN}{'hint: ' if key == 'hint' else ''}{one}" for one in told.splitlines()]
    lines += difference.fields(entry, style, MARGIN)
    if entry.get("preview"):
        lines += difference.text(str(entry["preview"]), style, MARGIN, 0 if verbosity > 0 else PREVIEW)
    return lines


def _tail(entry: Event, action: str, lasting: bool, style: Style) -> str:
    reason = one_line(entry.get("reason", "") or "")
    if entry.get("skipped"):
        return f"skipped: {reason}" if reason else "skipped"
    if action == "unknown":
        text = reason or "(known after apply)"
        return style(text, "red") if entry.get("problem") else text
    if entry.get("verify"):
        return reason
    text = _WORDS.get(action, action)
    state = next((one.get("after") for one in entry.get("diff") or [] if one.get("field") == "state"), None)
    if action == "create" and isinstance(state, str) and state not in ("present", "file"):
        text += f" {clean(state)}"
    if lasting:
        text += ", " + style("cannot be undone", "red")
    elif entry.get("reversible") == "best-effort" and action != "none":
        text += ", undo is best-effort"
    if entry.get("connectivity"):
        text += ", " + style("can cut the connection", "yellow")
    if reason:
        text += f" ({reason})"
    if entry.get("problem") and not reason:
        text += ": " + style(one_line(entry["problem"]), "red")
    return text


def _name(entry: Event) -> str:
    return one_line(entry.get("name") or entry.get("task") or "")


def _totals(totals: Totals, hosts: int, style: Style) -> list[str]:
    lines = []
    if not totals.changes and not totals.undecided:
        reached = hosts - totals.unreachable
        if reached:
            lines.append(style("No changes.", "green", "bold") + f" {counted(reached, 'host')} as described, "
                         f"{counted(totals.same, 'task')} in state.")
    else:
        words = (("create", "to create"), ("update", "to change"), ("delete", "to delete"), ("run", "to run"),
                 ("unknown", "to decide"))
        counts = [f"{totals.actions[action]} {word}" for action, word in words if totals.actions[action]]
        classes = [f"{totals.classes[one]} {one}" for one in ("exact", "best-effort", "irreversible")
                   if totals.classes[one]]
        text = style("Plan:", "bold") + f" {', '.join(counts)}"
        text += f"; {', '.join(classes)}" if classes else ""
        text += f"; on {totals.hosts} of {counted(hosts, 'host')}" if hosts > 1 else ""
        lines.append(text + ".")
    if totals.unreachable:
        lines.append(style(f"{counted(totals.unreachable, 'host')} could not be reached.", "red"))
    return lines

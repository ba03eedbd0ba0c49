"""The runs recorded on this host, as people ask for them."""

from __future__ import annotations

from typing import Any, Dict, List

from personaplex_provision.agent import journal as journals
from personaplex_provision.agent.store import Store

_WORST = ("exact", "best-effort", "irreversible")


def runs(store: Store, only: str = "") -> List[Dict[str, Any]]:
    """One object a run, oldest first: id, start, who, purpose, playbook, outcome, how many steps changed, class.

    With `only` (a run's id or its beginning) the run's events are given with it.
    """
    found = []
    undone: set[str] = set()
    for run in store.runs():
        if only and not run.startswith(only):
            continue
        try:
            records = journals.read(store, run)
        except OSError:
            continue
        if not records or records[0]["type"] != "run_start":
            continue
        start, end = records[0], records[-1]
        closed = end["type"] == "run_end"
        undone.update(end.get("undoes", []) if closed else [])
        begun: Dict[str, Any] = next((one for one in records if one["type"] == "rollback_start"), {})
        classes = [one.get("reversible", "exact") for one in records if one["type"] == "intent"]
        found.append({
            **{key: value for key, value in start.items() if key not in ("type", "owed")},
            "outcome": end["outcome"] if closed else "unfinished",
            "ended": end["ts"] if closed else None,
            "undoes": end.get("undoes", []) if closed else [],
            "targets": begun.get("runs", []),
            "continues": begun.get("continues", ""),
            "changed": sum(one["type"] == "task_end" and bool(one.get("marks") or one["outcome"] == "changed")
                           for one in records) if classes else 0,
            "failed": sum(one["type"] == "task_end" and one["outcome"] == "failed" for one in records),
            "reversible": max(classes, key=_WORST.index, default="exact"),
            **({"events": [_public(one) for one in records if one["type"] != "image"]} if only else {}),
        })
    for one in found:
        one["undone"] = one["run"] in undone
        if one["outcome"] == "rolled back":
            one["changed"] = 0
    return found


def _public(record: Dict[str, Any]) -> Dict[str, Any]:
    """A record without what only a rollback has a use for."""
    return {key: value for key, value in record.items() if key not in ("marks", "standing")}

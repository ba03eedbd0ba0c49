"""The rollback the controller asks for: which runs, whether that is still safe, and the run it is itself."""

from __future__ import annotations

from typing import List, Optional, Tuple

from personaplex_provision.agent import history, recovery, rollback
from personaplex_provision.agent.left import remaining
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.run import Run
from personaplex_provision.agent.session import Message, Session


def rollback_runs(session: Session, message: Message, mine: str = "") -> Tuple[List[str], str]:
    """Ids of the runs to take back, and of the rollback that was cut off and is gone on with.

    The runs are the last that changed something, `run` and all after it, or everything since `to`; without a name, what
    an unfinished rollback was to take back. Raises ResourceError when the run is not recorded here.
    """
    found = [one for one in history.runs(session.store) if one["run"] != mine]
    known = [one["run"] for one in found if one["changed"]]
    open_ = _unfinished(found)
    first = _first(found, message)
    if not first and open_ is not None:
        first = min(open_["targets"])
    if not first:
        return _with_its_parts(found, known[-1:]), ""
    runs = [one for one in known if (one > first if message.get("to") else one >= first)]
    return runs, open_["run"] if open_ is not None and set(open_["targets"]) <= set(runs) else ""


def _first(found: List[Message], message: Message) -> str:
    wanted = message.get("run") or message.get("to")
    if not wanted:
        return ""
    named = [str(one["run"]) for one in found if one["run"].startswith(wanted)]
    if len(named) != 1:
        word = "several runs start" if named else "no run on this host starts"
        raise ResourceError(f'{word} with "{wanted}"', hint="`provision runs` lists them")
    return named[0]


def _unfinished(found: List[Message]) -> Optional[Message]:
    """The rollback that did not come to its end, unless something was changed since."""
    for one in reversed(found):
        if one["targets"]:
            return one if one["outcome"] != "ok" else None
        if one["changed"]:
            return None
    return None


def _with_its_parts(found: List[Message], runs: List[str]) -> List[str]:
    """A rollback with those that it went on with: together they are one."""
    for one in reversed(found):
        if one["run"] in runs and one["continues"]:
            runs = [one["continues"], *runs]
    return runs


def roll_back(session: Session, message: Message, run: Run) -> None:
    """Carries out a `rollback` message as `run`; answers it with `rolled_back`, `moved` or `locked`."""
    if message.get("plan"):
        _plan(session, message)
        return
    holder = run.begin({**message, "run": message["id_"], "meta": {**message.get("meta", {}), "purpose": "rollback"}})
    if holder is not None:
        session.reply({"type": "locked", "holder": holder, "stopped": session.stopping.is_set()})
        return
    try:
        runs, continues = rollback_runs(session, message, run.id)
    except ResourceError:
        run.close("refused", undoes=[])
        raise
    undos = rollback.steps(session, runs)
    rollback.look_ahead(session, undos, bool(message.get("force")))
    moved = [] if message.get("force") else rollback.moved(undos)
    if moved:
        run.close("refused", undoes=[])
        session.reply({"type": "moved", "paths": moved})
        return
    assert run.journal is not None
    run.journal.write("rollback_start", sync=True, runs=runs, continues=continues, steps=len(undos))
    left = rollback.take_back(session, run.journal, undos)
    good, stopped = not any(one.failure for one in left), session.stopping.is_set()
    if not good and not stopped:
        session.send(remaining(left, len(undos)))
    run.close("ok" if good else "interrupted" if stopped else "failed", undoes=runs if good else [])
    session.reply({"type": "rolled_back", "good": good, "runs": runs, "stopped": stopped and not good})


def _plan(session: Session, message: Message) -> None:
    cut = recovery.unfinished(recovery.last_run(session))
    if cut:
        names = ", ".join(f'"{one.get("name")}"' for one in cut)
        session.send({"type": "diagnostic", "severity": "warning", "summary":
                      f"the last run was cut off in {names}: that is put right before anything is compared"})
    runs, _ = rollback_runs(session, message)
    undos = rollback.steps(session, runs)
    rollback.look_ahead(session, undos, bool(message.get("force")))
    session.send_many([rollback.describe(one) for one in undos])
    session.send({"type": "rolled_back", "good": True, "runs": runs, "moved": rollback.moved(undos), "plan": True})

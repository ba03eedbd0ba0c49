"""The rollback the controller asks for: which runs, whether that is still safe, and the run it is itself."""

from __future__ import annotations

from typing import List

from personaplex_provision.agent import history, rollback
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.run import Run
from personaplex_provision.agent.session import Message, Session


def rollback_runs(session: Session, message: Message) -> List[str]:
    """Ids of the runs to take back: the last, `run` and all after it, or everything since `to`.

    Raises ResourceError when the run is not recorded here.
    """
    known = [one["run"] for one in history.runs(session.store) if one["changed"]]
    every = [one["run"] for one in history.runs(session.store)]
    wanted = message.get("run") or message.get("to")
    if not wanted:
        return known[-1:]
    found = [one for one in every if one.startswith(wanted)]
    if len(found) != 1:
        word = "several runs start" if found else "no run on this host starts"
        raise ResourceError(f'{word} with "{wanted}"', hint="`provision runs` lists them")
    if message.get("to"):
        return [one for one in known if one > found[0]]
    return [one for one in known if one >= found[0]]


def roll_back(session: Session, message: Message) -> None:
    """Carries out a `rollback` message and answers it with `rolled_back`, `moved` or `locked`."""
    run = Run(session)
    if message.get("plan"):
        _plan(session, message)
        return
    holder = run.begin({**message, "run": message["id_"], "meta": {**message.get("meta", {}), "purpose": "rollback"}})
    if holder is not None:
        session.send({"type": "locked", "holder": holder, "stopped": session.stopping.is_set()})
        return
    runs = [one for one in rollback_runs(session, message) if one != run.id]
    undos = rollback.steps(session, runs)
    moved = [] if message.get("force") else rollback.moved(undos)
    if moved:
        run.close("refused", undoes=[])
        session.send({"type": "moved", "paths": moved})
        return
    session.send({"type": "rollback_start", "runs": runs, "steps": len(undos)})
    assert run.journal is not None
    good = rollback.take_back(session, run.journal, undos)
    run.close("ok" if good else "failed", undoes=runs)
    session.send({"type": "rolled_back", "good": good, "runs": runs, "stopped": session.stopping.is_set()})


def _plan(session: Session, message: Message) -> None:
    runs = rollback_runs(session, message)
    undos = rollback.steps(session, runs)
    session.send_many([rollback.describe(session, one) for one in undos])
    session.send({"type": "rolled_back", "good": True, "runs": runs, "moved": rollback.moved(undos), "plan": True})

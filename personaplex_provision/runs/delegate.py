"""Tasks delegated to localhost: carried out by an agent on this machine, in a run of its own there."""

from __future__ import annotations

import threading

from personaplex_provision.agent.task import Task
from personaplex_provision.errors import LockedError, ProvisionError
from personaplex_provision.executors.bootstrap import start_agent
from personaplex_provision.executors.connection import Connection
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.making import Made
from personaplex_provision.runs.conversation import Conversation, Event
from personaplex_provision.runs.holder import locked
from personaplex_provision.runs.identity import new_run, who
from personaplex_provision.runs.sending import send

_ONE = threading.Lock()
"This machine takes one run at a time, and several hosts may delegate to it together."
_PATIENCE = 60.0
"Seconds to wait for a run of someone else's on this machine."


def carry_out(made: Made, stock: Stock, planning: bool) -> Event:
    """Plans or applies the tasks here; the answer to an agent's `external` question."""
    seen: list[Event] = []
    try:
        agent = start_agent(Connection("localhost", "local"), [{"type": "hello", "facts": False}])
    except ProvisionError as error:
        return _failed(error)
    try:
        talk = Conversation("localhost", agent.channel, seen.extend)
        talk.answers["blob"] = lambda message: send(agent.channel, stock, message)
        talk.answers["judge"] = lambda message: made.judges[message["task"]].verdict(
            message["result"], int(message["attempt"]))
        talk.follow("hello")
        if stock.secrets:
            agent.channel.send_secrets(dict(stock.secrets))
        tasks = [one.to_json() for one in made.tasks]
        talk.ask({"type": "plan", "tasks": tasks}, "planned")
        if planning:
            return _planned(seen)
        with _ONE:
            reply = talk.ask({"type": "begin", "run": new_run(), "lock_timeout": _PATIENCE,
                              "meta": {"who": who(), "purpose": "delegated"}}, "begun", "locked")
            if reply["type"] == "locked":
                return _failed(LockedError(locked("localhost", reply["holder"])))
            seen.clear()
            reply = talk.ask({"type": "apply", "tasks": tasks, "jobs": 1}, "applied")
            talk.ask({"type": "end", "outcome": "failed" if reply["failed"] else "ok"}, "ended")
        return _applied(seen, made.tasks)
    except ProvisionError as error:
        return _failed(error)
    finally:
        agent.close()


def _planned(seen: list[Event]) -> Event:
    entries = [one for one in seen if one["type"] == "plan_task"]
    action = next((one["action"] for one in entries if one["action"] != "none"), "none")
    answer: Event = {"action": action, "reason": "on the controller"}
    for one in entries:
        answer.update({key: one[key] for key in ("diff", "result", "reason") if key in one})
    lasting = any(one["action"] != "none" and one.get("reversible", "irreversible") == "irreversible"
                  for one in entries)
    # A rollback of this host's run does not reach it: the controller's own has to be taken back.
    answer["reversible"] = "irreversible" if lasting else "exact" if action == "none" else "best-effort"
    return answer


def _applied(seen: list[Event], tasks: list[Task]) -> Event:
    del tasks
    ends = [one for one in seen if one["type"] == "task_end"]
    bad = [one for one in ends if one["outcome"] in ("failed", "blocked")]
    changed = any(one["outcome"] == "changed" for one in ends)
    answer: Event = {"outcome": "failed" if bad else "changed" if changed else "ok"}
    answer["result"] = (bad or ends or [{}])[-1].get("result", {"changed": changed, "failed": bool(bad)})
    for one in bad:
        if "diagnostic" in one:
            answer["diagnostic"] = one["diagnostic"]
    return answer


def _failed(error: ProvisionError) -> Event:
    first = error.diagnostics[0]
    return {"outcome": "failed", "action": "unknown", "reason": first.summary, "diagnostic": first.as_json(),
            "result": {"failed": True, "changed": False, "msg": first.summary}}

"""A later connection to a run: it is led to the run while that lives, and told from the journal when it has ended."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any, Dict, List

from personaplex_provision.agent import history
from personaplex_provision.agent import journal as journals
from personaplex_provision.agent.confirm import deadline_of
from personaplex_provision.agent.door import SocketStream, knock
from personaplex_provision.agent.journal import Record
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.protocol import Channel, encode
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.session import Session

PRIVATE = ("image", "intent", "run_start", "reverted")
"Records that nobody outside has a use for."
_PATIENCE = 10.0
"Seconds for which a run is waited for that is just closing."


def attach(session: Session, message: Dict[str, Any]) -> None:
    """Leads this conversation to the run it asks for, until one of both ends; a run that ended is told.

    Raises ResourceError when there is no such run.
    """
    run = _find(session, str(message.get("run", "")))
    deadline = time.monotonic() + _PATIENCE
    while True:
        stream = knock(session.store, run)
        if stream is not None:
            stream.write(encode({**message, "run": run}))
            _bridge(session.channel, stream)
            return
        records = journals.read(session.store, run)
        closed = bool(records) and records[-1]["type"] == "run_end"
        if closed or not held(session, run) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    outcome = str(records[-1]["outcome"]) if closed else "unfinished"
    if any(run in one["undoes"] for one in history.runs(session.store)):
        outcome = "rolled back"  # by the host itself, where nobody confirmed
    session.send_many(events(records, int(message.get("after", 0))))
    session.send({"type": "attached", "run": run, "live": False, "outcome": outcome,
                  "deadline": deadline_of(session.store, run)})


def events(records: List[Record], after: int) -> List[Record]:
    """What a controller is told of the records behind the first `after`, each with its number as `n`."""
    return [told for number, one in enumerate(records, 1) if number > after for told in shown(one, number)]


def shown(record: Record, number: int) -> List[Record]:
    """The events that a record gives rise to."""
    found = []
    if record.get("owed") and record["type"] != "intent" and record["type"] != "run_start":
        found.append({"type": "handler_owed", "task": record["task"], "handlers": record["owed"], "n": number})
    if record["type"] not in PRIVATE and not record.get("hidden"):
        found.append({**{key: value for key, value in record.items() if key not in _KEPT}, "n": number})
    return found


_KEPT = ("marks", "standing", "owed", "after")
"Fields that are for the journal alone."


def _find(session: Session, beginning: str) -> str:
    found = [one for one in session.store.runs() if one.startswith(beginning)]
    if not found or (beginning and len(found) > 1):
        word = "several runs start" if found else "no run on this host starts"
        raise ResourceError(f'{word} with "{beginning}"' if beginning else "no run is recorded on this host",
                            hint="`provision runs` lists them")
    return found[-1]


def held(session: Session, run: str) -> bool:
    """Whether the run's own process still holds the host."""
    holder = Lease(session.store).holder() or {}
    return holder.get("run") == run and bool(holder.get("alive")) and not holder.get("free")


def _bridge(channel: Channel, stream: SocketStream) -> None:
    """Carries bytes both ways until one side ends."""
    def back() -> None:
        _carry(stream, channel.stream)
        os._exit(0)  # the other direction waits for a controller that has nothing to say any more

    threading.Thread(target=back, daemon=True).start()
    with contextlib.suppress(OSError):
        stream.write(channel.taken())
    _carry(channel.stream, stream)
    stream.close()


def _carry(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            data = source.read(65536)
            if not data:
                break
            target.write(data)

"""The pruning the controller asks for: what would go, or its going, under the host's lease."""

from __future__ import annotations

from typing import Any, Dict

from personaplex_provision.agent import retention
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.session import Message, Session


def prune(session: Session, message: Message) -> None:
    """Answers a `prune` message with `pruned`, or `locked`. With `plan` nothing is removed and no lease is taken.

    Without it only runs in `runs` go, those that were shown, and of them only those that may still go.
    """
    session.fault.at = int(message.get("fault_at", 0))
    store = session.store
    limits = {name: message.get(name) for name in ("keep", "older_than", "max_size")}
    if message.get("plan"):
        found = retention.kept(store)
        going = retention.choose(found, **limits)
        session.send({"type": "pruned", **_told(found, going), "left": retention.left(store)})
        return
    lease = Lease(store)
    holder = lease.take(
        {"run": message["id_"], **message.get("meta", {}), "purpose": "prune"},
        float(message.get("lock_timeout", 0)),
        lambda one: session.send({"type": "lease", "news": "waiting", "holder": one}), session.stopping,
    )
    if holder is not None:
        session.send({"type": "locked", "holder": holder, "stopped": session.stopping.is_set()})
        return
    try:
        found = retention.kept(store)
        shown = set(message["runs"])
        going = [one for one in found if one.run in shown and not one.why]
        freed = retention.drop(store, [one.run for one in going])
    finally:
        lease.free(settled=False)
    session.send({"type": "pruned", **_told(found, going), "freed": freed})


def _told(found: Any, going: Any) -> Dict[str, Any]:
    left = [one for one in found if one not in going]
    return {"going": [one.as_json() for one in going], "staying": [one.as_json() for one in left],
            "size": sum(one.size for one in found)}

"""Freeing a host that a run holds: the run is asked to stop, and ended only on request."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any, Dict, List, Set

from personaplex_provision.agent.lease import Holder, Lease, alive
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.store import Store

_PACE = 0.1


def look(store: Store) -> Dict[str, Any]:
    """`held`, the `holder` of whom the lease speaks (None where no run has ever been), and whether it is `root`'s."""
    lease = Lease(store)
    return {"held": lease.held(), "holder": lease.holder(), "root": os.geteuid() == 0}


def free(store: Store, message: Dict[str, Any]) -> Dict[str, Any]:
    """Frees the host of the run `run`, and of no other, within `timeout` seconds; `how` says what happened.

    `free`: nobody held it any longer; `stopped`: the run ended at a step's boundary; `killed` (only with `force`): it
    was ended with what it was running; `held`: it goes on. Raises ResourceError when the process is not ours to end.
    """
    lease = Lease(store)
    holder = lease.holder()
    if holder is None or not lease.held() or holder.get("free"):
        return {"how": "free"}
    if holder.get("run") != message.get("run"):
        return {"how": "held", "holder": holder}
    if not holder["alive"]:
        raise ResourceError(
            "the host is held, and the process that is said to hold it is not on it",
            hint=f"`fuser {store.path('lock')}` on the host names who keeps the file open",
        )
    _signal(holder, signal.SIGUSR1)
    if _ended(lease, holder, float(message.get("timeout", 30))):
        return {"how": "stopped"}
    if not message.get("force"):
        return {"how": "held", "holder": lease.holder()}
    _kill(holder)
    return {"how": "killed" if _ended(lease, holder, 10.0) else "held", "holder": lease.holder()}


def _ended(lease: Lease, holder: Holder, patience: float) -> bool:
    """Whether the holder has given the host back, or is gone, within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        now = lease.holder() or {}
        if now.get("run") != holder.get("run") or now.get("free") or not lease.held():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PACE)


def _kill(holder: Holder) -> None:
    """Ends the holder and the process groups of the steps it runs; it cannot start another in between."""
    pid = int(holder["pid"])
    _signal(holder, signal.SIGSTOP)
    mine = {os.getpgid(0), os.getpgid(pid)}
    groups = {_group(one) for one in _descendants(pid)} - mine - {0}
    _signal(holder, signal.SIGKILL)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _signal(holder: Holder, number: signal.Signals) -> None:
    if not alive(holder):
        return  # never a process that was given its number since
    try:
        os.kill(int(holder["pid"]), number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise ResourceError(
            f"the process {holder['pid']} that holds the host is not ours to end", hint="use --become",
        ) from None


def _descendants(pid: int) -> List[int]:
    children: Dict[int, List[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            children.setdefault(_parent(name), []).append(int(name))
    found: List[int] = []
    seen: Set[int] = {pid}
    todo = [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            if child not in seen:
                seen.add(child)
                found.append(child)
                todo.append(child)
    return found


def _parent(name: str) -> int:
    try:
        with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0


def _group(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return 0

"""The watcher of a run that nobody has confirmed: where the run is dead at the deadline, this takes it back."""

from __future__ import annotations

import os
import time
from typing import Any

from personaplex_provision.agent import confirm
from personaplex_provision.agent.front import held
from personaplex_provision.agent.protocol import Channel
from personaplex_provision.agent.run import Run
from personaplex_provision.agent.session import Session

_PACE = 0.5
_GRACE = 3.0
"Seconds after the deadline for which a living run is left to take itself back."
_PATIENCE = 600.0
"Seconds for which the host's lease is waited for."


def watch(root: str, run: str) -> None:
    """Returns when the run was confirmed or taken back."""
    session = Session(Channel(Nowhere()), root)
    while True:
        deadline = confirm.deadline_of(session.store, run)
        if deadline is None:
            break
        alive = held(session, run)
        if time.time() > deadline + (_PATIENCE if alive else _GRACE) and confirm.expire(session.store, run):
            _take_back(session, run)
            break
        time.sleep(_PACE)
    if not held(session, run):
        confirm.forget(session.store, run)


def _take_back(session: Session, run: str) -> None:
    from personaplex_provision.agent import undoing

    mine = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}999-{os.urandom(2).hex()}"
    message = {"run": run, "id_": mine, "force": True, "lock_timeout": _PATIENCE,
               "meta": {"who": "the host itself", "purpose": "nobody confirmed the run"}}
    taking = Run(session)
    try:
        undoing.roll_back(session, message, taking)
    finally:
        taking.close("failed")


class Nowhere:
    """A stream to nobody."""

    def read(self, size: int, timeout: float | None = None) -> bytes:
        return b""

    def write(self, data: Any) -> None:
        """Nobody reads it."""

    def close(self) -> None:
        """There is nothing to close."""

    def fileno(self) -> int:
        return -1

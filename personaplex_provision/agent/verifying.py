"""Checks alone: they are carried out as in a run, and since they change nothing there is no lease and no journal."""

from __future__ import annotations

import time
from typing import Any, List

from personaplex_provision.agent.runner import Runner
from personaplex_provision.agent.session import Session
from personaplex_provision.agent.task import Task


def verify(session: Session, tasks: List[Task], jobs: int) -> None:
    """Carries out the checks side by side; each is told of when it starts and ends."""
    journal: Any = Told(session)
    Runner(session, journal, tasks, jobs, "continue").run()


class Told:
    """A journal of which nothing is kept: its records are only told."""

    broken = None
    run = ""

    def __init__(self, session: Session) -> None:
        self._session = session

    def write(self, type_: str, /, sync: bool = False, **fields: Any) -> None:
        """Tells a record."""
        self._session.send({"type": type_, "ts": round(time.time(), 3), **fields})

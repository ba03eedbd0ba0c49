"""A run on this host: the lease, the journal, the plays one after the other, the end."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List, Optional

from personaplex_provision.agent import front, recovery, rollback
from personaplex_provision.agent.confirm import Confirm, disarm
from personaplex_provision.agent.door import Door
from personaplex_provision.agent.journal import Journal, Record
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.left import remaining
from personaplex_provision.agent.protocol import Channel
from personaplex_provision.agent.runner import Runner
from personaplex_provision.agent.session import Message, Session
from personaplex_provision.agent.task import Task


class Run:
    """Lives from `begin` to `close`; holds the lease in between. `welcome` lets later connections take part."""

    def __init__(self, session: Session, welcome: Callable[[Channel], None] | None = None) -> None:
        self.session = session
        self.lease = Lease(session.store)
        self.journal: Optional[Journal] = None
        self.confirm: Optional[Confirm] = None
        self.id = ""
        self.owed: set[str] = set()
        self.failed = False
        self.broken = False
        "Whether more failed than checks of a `verify:`."
        self.more = False
        "Whether the controller has plays that it did not hand over yet."
        self.undone: Optional[str] = None
        "How the run ended when it was taken back before the controller asked for its end."
        self._policy = ""
        self._welcome = welcome
        self._door: Optional[Door] = None

    @property
    def ended_early(self) -> bool:
        """Whether plays that were handed over are not to be begun any more."""
        return self.failed or self.undone is not None or self.session.stopping.is_set()

    def begin(self, message: Message) -> Optional[Dict[str, Any]]:
        """Takes the lease, puts right what the last run left, opens the journal; returns who else holds the lease."""
        meta = dict(message["meta"])
        self.id = message["run"]
        self.session.required = str(message.get("require_reversible") or "")
        self.session.blurred = False
        self._policy = str(message.get("policy", ""))
        self.session.fault.at = int(message.get("fault_at", 0))
        holder = self.lease.take(
            {"run": self.id, **meta}, float(message.get("lock_timeout", 0)),
            lambda one: self.session.send({"type": "lease", "news": "waiting", "holder": one}), self.session.stopping,
        )
        if holder is not None:
            return holder
        try:
            self._open(meta, message)
        except BaseException:
            self.lease.free(settled=False)
            raise
        return None

    def _open(self, meta: Dict[str, Any], message: Message) -> None:
        previous = self.lease.previous
        if previous is not None:
            self.session.send({"type": "lease", "news": "took over", "holder": previous})
            meta["took_over"] = {key: previous.get(key) for key in ("run", "who", "pid", "since")}
        records = recovery.last_run(self.session)
        if records and records[0]["type"] == "run_start":
            disarm(self.session.store, str(records[0]["run"]))  # whoever begins a run has come over a new connection
        owed = recovery.owed(records)
        for told in recovery.recover(self.session, records):
            self.session.send(told)
        self.owed = set(owed)
        self.journal = Journal(self.session.store, self.id, self.session.clean)
        self.journal.write("run_start", run=self.id, owed=owed, sync=True, **meta)
        self.journal.listen(self._tell)
        if self.session.link is not None and self._welcome is not None:
            self._door = Door(self.session.store, self.id, self._welcome)
        if message.get("confirm"):
            self.confirm = Confirm(self.session, self.journal, **message["confirm"])

    def apply(self, tasks: List[Task], options: Message) -> Message:
        """Runs one play's tasks; returns how many ended how, and the results that were registered."""
        assert self.journal is not None
        self.more = bool(options.get("more"))
        runner = Runner(
            self.session, self.journal, tasks, int(options.get("jobs", 4)), options.get("on_failure", "stop"),
            self.owed, bool(options.get("force_handlers")), self.confirm,
        )
        runner.run()
        self.failed, self.broken = self.failed or runner.failed, self.broken or runner.broken
        for task in tasks:
            ended = runner.ended.get(task.address)
            if task.handler and ended is not None and ended.fine and ended.outcome != "skipped":
                self.owed.discard(task.handler)
        stopped = self.session.stopping.is_set()
        if self.confirm is not None and self.confirm.expired:
            self.undone = self.undo_itself()
            self.confirm.end()
        found: Message = {"failed": runner.failed, "stopped": stopped}
        if self.session.moved:
            found["moved"] = self.session.moved
        return found if self.undone is None else {**found, "undone": self.undone}

    def undo_itself(self) -> str:
        """Takes back what this run has done so far; returns the outcome, `rolled back` or `rollback failed`."""
        assert self.journal is not None
        if self.undone is not None:
            return self.undone
        self.session.stopping.clear()
        undos = rollback.steps(self.session, [self.id])
        rollback.look_ahead(self.session, undos, force=True)
        left = rollback.take_back(self.session, self.journal, undos)
        if left:
            told = remaining(left, len(undos))
            self.journal.write(told.pop("type"), **told)
        return "rollback failed" if left else "rolled back"

    def close(self, outcome: str, **meta: Any) -> None:
        """Closes the journal and frees the lease; once is enough."""
        try:
            if self._door is not None:
                self._door.close()
                self._door = None
            if self.journal is not None:
                journal = self.journal
                journal.write("run_end", sync=True, outcome=outcome, **meta)
                self.journal = None
                journal.close()
                with contextlib.suppress(OSError):  # then they are made again
                    self.session.store.remember()
        finally:
            self.lease.free()

    def close_alone(self) -> None:
        """Ends the run as its controller would, who is gone."""
        outcome = "interrupted" if self.more or self.session.stopping.is_set() else "ok"
        if self.undone is not None:
            outcome = self.undone
        elif self.failed:
            outcome = self.undo_itself() if self._policy == "rollback" else "failed" if self.broken else "unverified"
        self.close(outcome)

    def _tell(self, record: Record, number: int) -> None:
        told = front.shown(record, number)
        if told:
            self.session.send_many(told)

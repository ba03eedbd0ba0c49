"""A run on this host: the lease, the journal, the plays one after the other, the end."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from personaplex_provision.agent import recovery, rollback
from personaplex_provision.agent.journal import Journal, Record
from personaplex_provision.agent.lease import Lease
from personaplex_provision.agent.runner import Runner
from personaplex_provision.agent.session import Message, Session
from personaplex_provision.agent.task import Task

_PRIVATE = ("image", "intent", "run_start", "run_end", "reverted")
"""Records the controller has no use for."""


class Run:
    """Lives from `begin` to `close`; holds the lease in between."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lease = Lease(session.store)
        self.journal: Optional[Journal] = None
        self.id = ""
        self.owed: set[str] = set()
        self.failed = False

    def begin(self, message: Message) -> Optional[Dict[str, Any]]:
        """Takes the lease, puts right what the last run left, opens the journal; returns who else holds the lease."""
        meta = dict(message["meta"])
        self.id = message["run"]
        self.session.required = str(message.get("require_reversible") or "")
        self.session.blurred = False
        self.session.fault.at = int(message.get("fault_at", 0))
        holder = self.lease.take(
            {"run": self.id, **meta}, float(message.get("lock_timeout", 0)),
            lambda one: self.session.send({"type": "lease", "news": "waiting", "holder": one}), self.session.stopping,
        )
        if holder is not None:
            return holder
        try:
            self._open(meta)
        except BaseException:
            self.lease.free(settled=False)
            raise
        return None

    def _open(self, meta: Dict[str, Any]) -> None:
        previous = self.lease.previous
        if previous is not None:
            self.session.send({"type": "lease", "news": "took over", "holder": previous})
            meta["took_over"] = {key: previous.get(key) for key in ("run", "who", "pid", "since")}
        records = recovery.last_run(self.session)
        owed = recovery.owed(records)
        for told in recovery.recover(self.session, records):
            self.session.send(told)
        self.owed = set(owed)
        self.journal = Journal(self.session.store, self.id, self.session.clean)
        self.journal.write("run_start", run=self.id, owed=owed, sync=True, **meta)
        self.journal.listen(self._tell)

    def apply(self, tasks: List[Task], options: Message) -> Message:
        """Runs one play's tasks; returns how many ended how, and the results that were registered."""
        assert self.journal is not None
        runner = Runner(
            self.session, self.journal, tasks, int(options.get("jobs", 4)), options.get("on_failure", "stop"),
            self.owed, bool(options.get("force_handlers")),
        )
        runner.run()
        self.failed = self.failed or runner.failed
        for task in tasks:
            ended = runner.ended.get(task.address)
            if task.handler and ended is not None and ended.fine and ended.outcome != "skipped":
                self.owed.discard(task.handler)
        moved = {"moved": self.session.moved} if self.session.moved else {}
        return {"failed": runner.failed, **moved, "stopped": self.session.stopping.is_set()}

    def undo_itself(self) -> bool:
        """Takes back what this run has done so far; False when that failed."""
        assert self.journal is not None
        self.session.stopping.clear()
        undos = rollback.steps(self.session, [self.id])
        rollback.look_ahead(self.session, undos, force=True)
        return rollback.take_back(self.session, self.journal, undos)

    def close(self, outcome: str, **meta: Any) -> None:
        """Closes the journal and frees the lease."""
        try:
            if self.journal is not None:
                journal, self.journal = self.journal, None
                journal.write("run_end", sync=True, outcome=outcome, **meta)
                journal.close()
        finally:
            self.lease.free()

    def _tell(self, record: Record) -> None:
        if record.get("owed"):
            self.session.send({"type": "handler_owed", "task": record["task"], "handlers": record["owed"]})
        if record["type"] not in _PRIVATE and not record.get("hidden"):
            self.session.send({key: value for key, value in record.items() if key not in ("marks", "owed")})

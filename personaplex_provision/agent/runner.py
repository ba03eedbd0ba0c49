"""Walks a graph: starts what is ready, side by side where the graph allows, and stops where it must."""

from __future__ import annotations

import queue
import threading
from typing import Any, Dict, List, Set, Tuple

from personaplex_provision.agent import kinds
from personaplex_provision.agent.confirm import Confirm
from personaplex_provision.agent.execution import Ended, Execution
from personaplex_provision.agent.journal import Journal
from personaplex_provision.agent.session import Session
from personaplex_provision.agent.step import hint_for, plain
from personaplex_provision.agent.task import Task

_PACE = 0.05
"Seconds between two looks whether a confirmation has come."


class Runner:
    """Runs the tasks of one play on this host. `jobs` is how many tasks may run at once."""

    def __init__(
        self, session: Session, journal: Journal, tasks: List[Task], jobs: int, on_failure: str = "stop",
        owed: Set[str] | None = None, force_handlers: bool = False, confirm: Confirm | None = None,
    ) -> None:
        self.session = session
        self.journal = journal
        self.tasks = {one.address: one for one in tasks}
        self.jobs = max(jobs, 1)
        self.on_failure = on_failure
        self.owed = owed if owed is not None else set()
        self.force_handlers = force_handlers
        self.confirm = confirm
        self.ended: Dict[str, Ended] = {}
        self.failed = False
        self.broken = False
        "Whether more failed than checks of a `verify:`."
        self._lost: Set[str] = set()
        "Joins of block bodies in which a task failed."
        self._busy: Set[str] = set()
        self._cutting: Set[str] = set()
        "Running tasks that can cut the connection."
        self._waiting: Dict[str, int] = {}
        self._after: Dict[str, List[str]] = {}
        self._ready: List[str] = []
        self._done: queue.Queue[List[Tuple[str, Ended]]] = queue.Queue()
        "What each thread has ended: its task, and those that went along with it."
        handlers = {one.address: one.handler for one in tasks if one.handler}
        self._execution = Execution(session, journal, handlers, self._nested, confirm)
        self._place = {one.address: number for number, one in enumerate(tasks)}

    def run(self) -> None:
        """Runs to the end; afterwards every task is in `ended`."""
        for task in self.tasks.values():
            needed = {address for address, _ in task.requires if address in self.tasks}
            self._waiting[task.address] = len(needed)
            for address in needed:
                self._after.setdefault(address, []).append(task.address)
        self._ready = [address for address, left in self._waiting.items() if left == 0]
        running = 0
        while self._ready or running or self._unconfirmed():
            running += self._start(self.jobs - running)
            if self._unconfirmed() and not self._cutting:
                done = self._confirmation()
            else:
                done = self._done.get() if running else None
            if done is not None:
                running -= 1
                self._busy -= set(self.tasks[done[0][0]].exclusive)
                for address, ended in done:
                    self._cutting.discard(address)
                    self._end(address, ended)
                self._ready = [one for one in self._ready if one not in self.ended]

    def _unconfirmed(self) -> bool:
        return self.confirm is not None and self.confirm.due

    def _confirmation(self) -> List[Tuple[str, Ended]] | None:
        """Waits a moment for a confirmation, or for a task to end; without one in time nothing more is done."""
        assert self.confirm is not None
        self.confirm.request()
        try:
            return self._done.get(timeout=_PACE)
        except queue.Empty:
            pass
        if self.confirm.settle() and self.confirm.expired:
            self.failed = self.broken = True
            self.session.stop(kill=True)  # it will be taken back: there is nothing to wait for
        return None

    def _start(self, room: int) -> int:
        """Settles what needs no thread, starts up to `room` of the rest; returns how many were started."""
        started = 0
        progress = True
        while progress:
            progress = False
            for address in sorted(self._ready, key=self._place.__getitem__):
                task = self.tasks[address]
                settled = self._settle(task)
                if settled is not None:
                    self._ready.remove(address)
                    self._end(address, settled)
                    progress = True
                elif started < room and not self._busy & set(task.exclusive) and self._may_start(task):
                    self._ready.remove(address)
                    self._busy |= set(task.exclusive)
                    if task.connectivity:
                        self._cutting.add(address)
                    self._set_to_work(task, alone=room == self.jobs and not started and not self._ready)
                    started += 1
        return started

    def _set_to_work(self, task: Task, alone: bool) -> None:
        """In a thread of its own, or here when nothing else can be done meanwhile."""
        others = self._companions(task)
        if alone and not task.connectivity and not self._unconfirmed():
            self._work(task, others)
        else:
            threading.Thread(target=self._work, args=(task, others), daemon=True).start()

    def _may_start(self, task: Task) -> bool:
        """What cuts the connection goes together; all else waits until a new connection has confirmed it."""
        return task.connectivity or not self._unconfirmed()

    def _companions(self, task: Task) -> List[Task]:
        """The tasks that can be done in one go with this one and alone come after it: nobody waits longer for that."""
        found: List[Task] = []
        if not task.exclusive or task.deferred:
            return found
        from personaplex_provision.agent.together import alike  # here: few runs have tasks that go together

        fields, over = kinds.find(task.kind, self.session.library).together, {task.address}
        while fields:
            free = [self.tasks[one] for one in {one for address in over for one in self._after.get(address, [])} - over
                    if self._free(one, over)]
            more = [one for one in free if not _passes(one)]
            if not free or not all(self._joins(one) and alike(task, one, fields) for one in more):
                break
            found += sorted(more, key=lambda one: self._place[one.address])
            over |= {one.address for one in free}
        return found

    def _joins(self, task: Task) -> bool:
        """Not what failed with others, nor a step of a saved plan, which is looked at just before it is taken."""
        return task.address not in self._execution.apart and task.address not in self.session.expected

    def _free(self, address: str, over: Set[str]) -> bool:
        """Whether the task waits for nothing once those in `over` are done too."""
        needed = [one for one, _ in self.tasks[address].requires if one in self.tasks and one not in over]
        return all(one in self.ended and self.ended[one].fine for one in needed)

    def _nested(self, tasks: List[Task]) -> Ended:
        """Tasks that were only defined during the run, one after the other, by the same rules."""
        inner = Runner(self.session, self.journal, tasks, 1, self.on_failure, self.owed, self.force_handlers,
                       self.confirm)
        inner._execution = self._execution
        inner.run()
        ends = [inner.ended[one.address] for one in tasks if one.kind]
        if inner.failed:
            bad = [one for one in ends if one.outcome == "failed" and not one.ignored]
            return Ended("failed", bad[-1].result if bad else {"failed": True})
        changed = any(one.outcome == "changed" for one in ends)
        skipped = bool(ends) and all(one.outcome == "skipped" for one in ends)
        return Ended("skipped" if skipped else "changed" if changed else "ok", {"changed": changed})

    def _work(self, task: Task, others: List[Task]) -> None:
        try:
            done = self._execution.carry_out(task, others)
        except OSError as error:  # the journal could not be written; its last whole state is what the next run sees
            self.session.send({"type": "diagnostic", "severity": "error", "task": task.address,
                               "summary": plain(error), "hint": hint_for(error)})
            done = [(task.address, Ended("failed", {"failed": True, "msg": plain(error)}))]
        except BaseException as error:  # a bug of ours must end the task, never the run
            import traceback

            self.session.send({"type": "diagnostic", "severity": "error", "task": task.address,
                               "summary": f"internal error: {error}", "detail": traceback.format_exc(), "bug": True})
            done = [(task.address, Ended("failed", {"failed": True, "msg": f"internal error: {error}"}))]
        self._done.put(done)

    def _settle(self, task: Task) -> Ended | None:
        """How the task ends without being carried out, or None when it is to run."""
        if task.trigger == "block":
            return self._block_end(task)
        exempt = set(task.trigger_on) if task.trigger in ("always", "failed", "notified") else set()
        bad = [one for one, _ in task.requires if one not in exempt and one in self.ended and not self.ended[one].fine]
        if task.trigger == "notified":
            return self._handler(task)
        if task.trigger in ("failed", "always"):
            watched = [self.ended[one] for one in task.trigger_on if one in self.ended]
            if any(one.outcome == "blocked" for one in watched):
                return self._blocked(task, "the block was never entered")
            if watched and watched[0].outcome == "skipped":
                return Ended("skipped")  # a block inside a rescue that was not needed
            if task.trigger == "failed" and all(one.fine for one in watched):
                return Ended("skipped")
        if bad and not task.kind and not task.deferred:
            lost = task.address in self._lost or any(self.ended[one].outcome == "failed" for one in bad)
            return Ended("failed" if lost else "blocked")
        if bad:
            return self._blocked(task, f"{self.tasks[bad[0]].name or bad[0]} did not succeed")
        if not task.kind and not task.deferred:
            changed = any(self.ended[one].outcome == "changed" for one, _ in task.requires if one in self.ended)
            return Ended("changed" if changed else "ok")
        if task.skipped:
            self._note(task, "skipped", reason=task.skipped)
            return Ended("skipped", {"skipped": True, "changed": False})
        if task.verify and any(self.ended[one].outcome == "skipped" for one in task.trigger_on if one in self.ended):
            self._note(task, "skipped", reason="what it verifies was skipped")
            return Ended("skipped", {"skipped": True, "changed": False})
        if self.session.stopping.is_set():
            return self._blocked(task, "the run was stopped")
        if self.failed and self.on_failure != "continue" and task.trigger == "success" and not task.block:
            return self._blocked(task, "another task failed")
        return None

    def _block_end(self, task: Task) -> Ended:
        """The end of a block: its body, or what rescued it, and then what always runs, must be fine."""
        body, *rest = (self.ended[one] for one in task.trigger_on)
        if body.outcome == "blocked":
            return Ended("blocked")
        rescued = task.rescued_by in self.tasks and self.ended[task.rescued_by].fine
        if all(one.fine for one in rest) and (body.fine or rescued):
            changed = any(self.ended[one].outcome == "changed" for one, _ in task.requires if one in self.ended)
            return Ended("changed" if changed else "ok")
        if task.block not in self.tasks:
            self.failed = True
        return Ended("failed")

    def _handler(self, task: Task) -> Ended | None:
        if task.address not in self._execution.notified and task.handler not in self.owed:
            return Ended("skipped")
        stopped = self.session.stopping.is_set() or (self.failed and not self.force_handlers)
        if stopped:
            return self._blocked(task, "the run did not get there; it is owed and runs next time")
        if task.skipped:
            self._note(task, "skipped", reason=task.skipped, handler=task.handler)
            return Ended("skipped", {"skipped": True, "changed": False})
        return None

    def _blocked(self, task: Task, reason: str) -> Ended:
        if task.kind or task.deferred:
            self._note(task, "blocked", reason=reason)
        return Ended("blocked", {"skipped": True, "changed": False})

    def _note(self, task: Task, outcome: str, reason: str, **more: Any) -> None:
        self.journal.write("task_end", task=task.address, name=task.name, kind=task.kind, outcome=outcome, seconds=0,
                           reason=reason, **more)

    def _end(self, address: str, ended: Ended) -> None:
        self.ended[address] = ended
        if self.journal.broken is not None:
            self.failed = self.broken = True
        task = self.tasks[address]
        if ended.outcome == "failed" and not ended.ignored and task.verify is None and (task.kind or task.deferred):
            self.broken = True
        if ended.outcome == "failed" and not ended.ignored and task.block in self.tasks:
            self._lost.add(task.block)
        elif ended.outcome == "failed" and not ended.ignored and (task.kind or task.deferred):
            self.failed = True
        for one in self._after.get(address, []):
            self._waiting[one] -= 1
            if self._waiting[one] == 0 and one not in self.ended:
                self._ready.append(one)


def _passes(task: Task) -> bool:
    """Whether nothing is done when the task's turn comes."""
    return task.trigger == "success" and bool(task.skipped or not (task.kind or task.deferred))

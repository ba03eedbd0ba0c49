"""The agent's conversation: it plans, runs and takes back what the controller asks for.

The thread that receives never works: it hands work to one worker thread and answers to those who asked. When the
connection ends, a run finishes its running steps, closes its journal and the process ends.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from personaplex_provision.agent.protocol import BlobChunk, Channel, ProtocolError, Secrets, typed
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.session import Disconnected, Message, Session
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.task import Task

if TYPE_CHECKING:
    from personaplex_provision.agent.run import Run


def serve(channel: Channel) -> None:
    """Answers until the controller hangs up and what was begun is closed."""
    # A vanished connection shows as the end of the stream; these must not end us in the middle of a step.
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    session = Session(channel)
    # In a thread: what the signal interrupts may hold the locks that stopping needs.
    signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=session.asked_to_stop, daemon=True).start())
    Agent(session).serve()


class Incoming:
    """A content on its way into the store, written by a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.pieces: queue.Queue[Optional[bytes]] = queue.Queue(maxsize=32)
        self._thread = threading.Thread(target=lambda: store.put(iter(self.pieces.get, None)), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits until all that arrived is kept."""
        self.pieces.put(None)
        self._thread.join()


class Agent:
    """Dispatches messages; lives as long as the process."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.run: Optional[Run] = None
        self.planner: Any = None
        self._worker: Optional[threading.Thread] = None
        self._handlers: Dict[str, Callable[[Message], None]] = {
            "hello": self._hello, "plan": self._plan, "begin": self._begin, "apply": self._apply,
            "end": self._end, "rollback": self._rollback, "runs": self._runs, "lease": self._lease,
            "unlock": self._unlock, "verify": self._verify, "prune": self._prune,
        }

    def serve(self) -> None:
        """Receives until the stream ends."""
        incoming: Dict[str, Incoming] = {}
        while True:
            try:
                message = typed(self.session.channel.receive())
            except (EOFError, OSError, ProtocolError):
                break
            if isinstance(message, Secrets):
                self.session.take_secrets({name: str(value) for name, value in message.values.items()})
            elif isinstance(message, BlobChunk):
                self._chunk(incoming, message)
            elif message["type"] in ("need", "judge", "external", "blob"):
                self.session.answer(message)
            elif message["type"] == "stop":
                self._stop(bool(message.get("kill")))
            elif message["type"] == "ping":
                self.session.send({**message, "type": "pong"})
            else:
                self._work(message)
        self.session.stopping.set()
        self.session.lost()
        if self._worker is not None:
            self._worker.join()
        if self.run is not None:
            with contextlib.suppress(OSError):  # then the next run closes it
                self.run.close("interrupted")

    def _work(self, message: Message) -> None:
        if self._worker is not None:
            self._worker.join()
        self._worker = threading.Thread(target=self._guarded, args=(message,), daemon=True)
        self._worker.start()

    def _guarded(self, message: Message) -> None:
        try:
            self._handlers[message["type"]](message)
        except Disconnected:
            return
        except ResourceError as error:
            self.session.send({"type": "failed", "of": message["type"], "summary": error.summary,
                               "detail": error.detail, "hint": error.hint})
        except OSError as error:  # a full disk, a state directory that is not ours: the host's, not a bug
            from personaplex_provision.agent.step import hint_for, plain

            self.session.send({"type": "failed", "of": message["type"], "summary": plain(error),
                               "hint": hint_for(error)})
        except Exception as error:
            import traceback

            self.session.send({"type": "failed", "of": message["type"], "bug": True,
                               "summary": f"internal error in the agent: {type(error).__name__}: {error}",
                               "detail": traceback.format_exc()})

    def _chunk(self, incoming: Dict[str, Incoming], piece: BlobChunk) -> None:
        """A piece of a content the agent asked for; it is in the store before the answer that follows is handed on."""
        if piece.sha256 not in incoming:
            incoming[piece.sha256] = Incoming(self.session.store)
        incoming[piece.sha256].pieces.put(piece.data)
        if piece.final:
            incoming.pop(piece.sha256).finish()

    def _stop(self, kill: bool) -> None:
        from personaplex_provision.agent.process import kill_group

        self.session.stopping.set()
        if kill:
            for host in list(self.session.hosts):
                for process in list(host.processes):
                    kill_group(process)

    def _hello(self, message: Message) -> None:
        from personaplex_provision.agent import recovery

        if message.get("root"):
            self.session.store.root = message["root"]
        reply: Message = {"type": "hello", "pid": os.getpid(), "root": self.session.store.root}
        if message.get("facts", True):
            from personaplex_provision.agent.facts import gather

            reply["facts"] = gather()
        records = recovery.last_run(self.session)
        reply["unfinished"] = [one.get("name") for one in recovery.unfinished(records)]
        reply["owed"] = recovery.owed(records)
        self.session.send(reply)
        self._warm(message.get("kinds", []))

    def _warm(self, names: List[str]) -> None:
        """Imports what a plan will need, while the controller is still making it."""
        import importlib

        from personaplex_provision.agent import planner  # noqa: F401
        from personaplex_provision.agent.kinds import PACKAGE

        for name in names:
            with contextlib.suppress(ImportError):  # kinds of the user's own, and what only the controller knows
                importlib.import_module(f"{PACKAGE}.{name}")

    def _take(self, message: Message) -> List[Task]:
        self.session.library.update(message.get("library", {}))
        self.session.take_contents(message.get("contents", {}))
        return [Task.from_json(one) for one in message["tasks"]]

    def _plan(self, message: Message) -> None:
        from personaplex_provision.agent import recovery
        from personaplex_provision.agent.planner import Planner

        tasks = self._take(message)
        if self.planner is None or message.get("fresh"):
            self.planner = Planner(self.session, recovery.owed(recovery.last_run(self.session)))
        self.planner.plan(tasks, bool(message.get("observed")))
        self.session.send({"type": "planned", "space": self.planner.prediction.room()})

    def _verify(self, message: Message) -> None:
        from personaplex_provision.agent import verifying

        verifying.verify(self.session, self._take(message), int(message.get("jobs", 4)))
        self.session.send({"type": "verified"})

    def _begin(self, message: Message) -> None:
        from personaplex_provision.agent.run import Run  # here: a plan needs no part of it

        lack = self._lack()
        if lack:
            self.session.send({"type": "failed", "of": "begin", "refused": True, **lack})
            return
        run = Run(self.session)
        holder = run.begin(message)
        if holder is not None:
            self.session.send({"type": "locked", "holder": holder, "stopped": self.session.stopping.is_set()})
            return
        self.run = run
        self.session.send({"type": "begun"})

    def _lack(self) -> Dict[str, str]:
        """What there is no room for any more, though there may have been when the plan was made."""
        rows = self.planner.prediction.room() if self.planner is not None else []
        if not rows:
            return {}
        from personaplex_provision.agent.space import shortage

        return shortage(rows)

    def _apply(self, message: Message) -> None:
        assert self.run is not None
        outcome = self.run.apply(self._take(message), message)
        self.session.send({"type": "applied", **outcome})

    def _end(self, message: Message) -> None:
        assert self.run is not None
        outcome = message.get("outcome", "ok")
        if message.get("rollback"):
            outcome = "rolled back" if self.run.undo_itself() else "rollback failed"
        self.run.close(outcome, **message.get("meta", {}))
        self.run = None
        self.session.send({"type": "ended", "outcome": outcome})

    def _rollback(self, message: Message) -> None:
        from personaplex_provision.agent import undoing

        undoing.roll_back(self.session, message)

    def _runs(self, message: Message) -> None:
        from personaplex_provision.agent import history

        found = history.runs(self.session.store, message.get("run", ""))
        if message.get("sizes"):
            from personaplex_provision.agent import retention

            sizes = {one.run: one.size for one in retention.kept(self.session.store)}
            found = [{**one, "size": sizes.get(one["run"], 0)} for one in found]
        self.session.send({"type": "runs", "runs": found})

    def _prune(self, message: Message) -> None:
        from personaplex_provision.agent import pruning

        pruning.prune(self.session, message)

    def _lease(self, message: Message) -> None:
        from personaplex_provision.agent import unlock

        del message
        self.session.send({"type": "lease", **unlock.look(self.session.store)})

    def _unlock(self, message: Message) -> None:
        from personaplex_provision.agent import unlock

        self.session.send({"type": "unlocked", **unlock.free(self.session.store, message)})

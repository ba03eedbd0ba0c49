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
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from personaplex_provision.agent.protocol import BlobChunk, Channel, ProtocolError, Secrets, typed
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.session import Disconnected, Message, Session
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


class Agent:
    """Dispatches messages; lives as long as the process."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.run: Optional[Run] = None
        self.planner: Any = None
        self._planned: Dict[int, List[Task]] = {}
        "What was planned, by the number that the controller gave it: it need not be sent again to be applied."
        self._waiting: queue.Queue[Optional[Message]] = queue.Queue()
        self._worker: Optional[threading.Thread] = None
        self._heard = 0
        "Orders of the controller since the run was detached."
        self._handlers: Dict[str, Callable[[Message], None]] = {
            "hello": self._hello, "plan": self._plan, "begin": self._begin, "apply": self._apply,
            "end": self._end, "rollback": self._rollback, "runs": self._runs, "lease": self._lease,
            "unlock": self._unlock, "verify": self._verify, "prune": self._prune, "confirm": self._confirm,
        }

    def serve(self) -> None:
        """Receives until the stream ends, and then sees a detached run to its end."""
        self._converse(self.session.channel)
        if self.session.link is not None:
            self.session.link.lost(self.session.link.first)
            self._stay()
        else:
            self.session.stopping.set()
            self.session.lost()
        self._rest()
        if self.run is not None:
            with contextlib.suppress(OSError):  # then the next run closes it
                self.run.close("interrupted")

    def _converse(self, channel: Channel, orders: bool = True) -> None:
        """Receives from one connection until it ends; one without `orders` may only ask for a stop."""
        while True:
            try:
                message = typed(channel.receive())
            except (EOFError, OSError, ProtocolError):
                break
            if isinstance(message, dict) and message["type"] == "stop":
                self.session.stop(bool(message.get("kill")))
            elif not orders:
                continue
            elif isinstance(message, Secrets):
                self.session.take_secrets({name: str(value) for name, value in message.values.items()})
            elif isinstance(message, BlobChunk):
                self.session.incoming.take(message)
            elif message["type"] in ("need", "judge", "external", "blob"):
                self.session.answer(message)
            elif message["type"] == "ping":
                self.session.send({**message, "type": "pong"})
            elif message["type"] == "attach":
                self._front(message)
                return
            else:
                self._order(message)
        if orders:
            self.session.incoming.stop()

    def _order(self, message: Message) -> None:
        """Hands work to the worker, which does one thing after the other."""
        if self.session.link is not None:
            self._heard += 1
        elif message.get("detach"):
            self._detach(message)
        if self._worker is None:
            self._worker = threading.Thread(target=self._toil, name="worker", daemon=True)
            self._worker.start()
        self._waiting.put(message)

    def _toil(self) -> None:
        while True:
            message = self._waiting.get()
            try:
                if message is None:
                    return
                self._guarded(message)
            finally:
                self._waiting.task_done()

    def _rest(self) -> None:
        """Waits until the worker has done what it was given, and ends it."""
        if self._worker is not None:
            self._waiting.put(None)
            self._worker.join()
            self._worker = None

    # a run that outlives its connection

    def _detach(self, message: Message) -> None:
        """From here on in a process that the connection's end does not reach."""
        from personaplex_provision.agent.detach import detach
        from personaplex_provision.agent.link import BEAT, LONGEST, Link

        self._rest()
        detach()
        self.session.patience = float(message.get("patience", 0))
        self.session.stops = message.get("on_disconnect") == "stop"
        self.session.link = Link(
            self.session.channel, float(message.get("beat", BEAT)), float(message.get("gather", LONGEST)),
        )

    def _front(self, message: Message) -> None:
        from personaplex_provision.agent import front

        self._rest()  # from here on the channel belongs to the run
        try:
            front.attach(self.session, message)
        except ResourceError as error:
            self.session.send({"type": "failed", "of": "attach", "summary": error.summary, "hint": error.hint})

    def _welcome(self, channel: Channel) -> None:
        """Lets a later connection take part in the run."""
        link, journal = self.session.link, self.run.journal if self.run is not None else None
        try:
            message = channel.receive(5.0)
        except (EOFError, OSError, ProtocolError):
            message = {}
        if link is None or journal is None or not isinstance(message, dict) or message.get("type") != "attach":
            channel.close()
            return
        from personaplex_provision.agent import front
        from personaplex_provision.agent.journal import read

        answers, channel.packing = bool(message.get("answers")), bool(message.get("packs"))
        with journal.standing():
            missed = front.events(read(self.session.store, journal.run), int(message.get("after", 0)))
            told = {"type": "attached", "run": journal.run, "live": True, "heard": self._heard}
            missed = [self.session.clean(one) for one in missed]
            again = [*link.replies[int(message.get("got", 0)):], *self.session.open_questions()] if answers else []
            peer = link.join(channel, answers, [told, *missed, *again])
        self._converse(channel, answers)
        link.lost(peer)
        channel.close()

    def _stay(self) -> None:
        """Waits until a controller ended the run, or ends it when none comes back."""
        link = self.session.link
        assert link is not None
        while True:
            alone = link.alone()
            if alone and (self.session.stops or self.run is None or self.run.journal is None):
                self.session.stopping.set()
            run = self.run
            if self._waiting.unfinished_tasks == 0:
                if run is None:
                    break
                given_up = alone > self.session.patience or self.session.stopping.is_set()
                if alone and (not run.more or given_up):
                    run.close_alone()
                    self.run = None
                    break
            time.sleep(0.1)
        link.drain()

    def _guarded(self, message: Message) -> None:
        try:
            self._handlers[message["type"]](message)
        except Disconnected:
            return
        except ResourceError as error:
            self.session.reply({"type": "failed", "of": message["type"], "summary": error.summary,
                               "detail": error.detail, "hint": error.hint})
        except OSError as error:  # a full disk, a state directory that is not ours: the host's, not a bug
            from personaplex_provision.agent.step import hint_for, plain

            self.session.reply({"type": "failed", "of": message["type"], "summary": plain(error),
                               "hint": hint_for(error)})
        except Exception as error:
            import traceback

            self.session.reply({"type": "failed", "of": message["type"], "bug": True,
                               "summary": f"internal error in the agent: {type(error).__name__}: {error}",
                               "detail": traceback.format_exc()})
        finally:
            self.session.machine.rest()

    def _hello(self, message: Message) -> None:
        from personaplex_provision.agent import recovery

        if message.get("root"):
            self.session.store.root = message["root"]
        self.session.channel.packing = bool(message.get("packs"))
        reply: Message = {"type": "hello", "pid": os.getpid(), "root": self.session.store.root}
        if message.get("facts", True):
            from personaplex_provision.agent.facts import gather

            reply["facts"] = gather()
        open_, reply["owed"] = recovery.left(self.session)
        reply["unfinished"] = [one.get("name") for one in open_]
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
            self.planner = Planner(self.session, recovery.left(self.session)[1])
        self._planned[int(message.get("number", 0))] = tasks
        self.planner.plan(tasks, bool(message.get("observed")), bool(message.get("brief")))
        self.session.send({"type": "planned", "space": self.planner.prediction.room()})

    def _verify(self, message: Message) -> None:
        from personaplex_provision.agent import verifying

        verifying.verify(self.session, self._take(message), int(message.get("jobs", 4)))
        self.session.send({"type": "verified"})

    def _begin(self, message: Message) -> None:
        from personaplex_provision.agent.run import Run  # here: a plan needs no part of it

        lack = self._lack()
        if lack:
            self.session.reply({"type": "failed", "of": "begin", "refused": True, **lack})
            return
        run = Run(self.session, self._welcome)
        holder = run.begin(message)
        if holder is not None:
            self.session.reply({"type": "locked", "holder": holder, "stopped": self.session.stopping.is_set()})
            return
        self.run = run
        self.session.reply({"type": "begun"})

    def _lack(self) -> Dict[str, str]:
        """What there is no room for any more, though there may have been when the plan was made."""
        rows = self.planner.prediction.room() if self.planner is not None else []
        if not rows:
            return {}
        from personaplex_provision.agent.space import shortage

        return shortage(rows)

    def _apply(self, message: Message) -> None:
        assert self.run is not None
        if self.run.ended_early:
            return  # it was sent ahead of a failure
        tasks = self._planned[message["planned"]] if "planned" in message else self._take(message)
        outcome = self.run.apply(tasks, message)
        self.session.reply({"type": "applied", **outcome})

    def _end(self, message: Message) -> None:
        assert self.run is not None
        outcome = message.get("outcome", "ok")
        if message.get("rollback"):
            outcome = self.run.undo_itself()
        kept = self._kept(message)  # while the host is ours: another run may keep one, too
        self.run.close(outcome, **message.get("meta", {}))
        self.run = None
        self.session.reply({"type": "ended", "outcome": outcome, **kept})

    def _kept(self, message: Message) -> Message:
        """The engine, for the next connection, when that was asked for: a start that needs not bring it is quicker."""
        from personaplex_provision.agent import engine

        if message.get("keep"):
            with contextlib.suppress(OSError):  # a full disk: then the next one brings it
                path, sha256 = engine.keep(self.session.store)
                return {"engine": [path, sha256]} if path else {}
        return {}

    def _rollback(self, message: Message) -> None:
        from personaplex_provision.agent import undoing
        from personaplex_provision.agent.run import Run

        self.run = Run(self.session, self._welcome)
        try:
            undoing.roll_back(self.session, message, self.run)
        finally:
            self.run.close("failed")  # unless it was closed
            self.run = None

    def _confirm(self, message: Message) -> None:
        from personaplex_provision.agent import confirm

        self.session.send({"type": "confirmed", **confirm.disarm(self.session.store, str(message.get("run", "")))})

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

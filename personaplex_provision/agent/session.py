"""What one conversation with a controller shares: channel, machine, store, secrets, contents, questions."""

from __future__ import annotations

import itertools
import os
import queue
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

from personaplex_provision.agent import kinds
from personaplex_provision.agent.fault import Fault
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.identity import Identity
from personaplex_provision.agent.image import Image
from personaplex_provision.agent.incoming import Incoming
from personaplex_provision.agent.link import Link
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.protocol import Channel
from personaplex_provision.agent.redact import Redactor
from personaplex_provision.agent.resource import Resource, ResourceError
from personaplex_provision.agent.store import Store, default_root
from personaplex_provision.agent.task import Task
from personaplex_provision.agent.values import Blob, Secret

Message = Dict[str, Any]


class Disconnected(Exception):
    """The controller is gone, and what was asked of it cannot be answered."""


class Session:
    """One controller's conversation; lives as long as the connection, and with a `link` as long as the run."""

    def __init__(self, channel: Channel, root: str = "") -> None:
        self.channel = channel
        self.fault = Fault()
        self.store = Store(root or default_root(), self.fault)
        self.machine = Machine()
        self.library: Dict[str, str] = {}
        self.secrets: Dict[str, str] = {}
        self.contents: Dict[str, bytes] = {}
        self.redactor = Redactor([])
        self.required = ""
        "What every step's class must be for it to be taken (a key of PASSING); empty for any."
        self.expected: Dict[str, str] = {}
        "Digest of what a step must be found to be, by address, when a saved plan is applied."
        self.moved: List[str] = []
        "Steps that were refused because they were found to be something else."
        self.blurred = False
        "Whether a command of this run may have changed what steps after it find."
        self.connected = True
        self.link: Optional[Link] = None
        "Whom a detached run speaks to; before that, and without it, there is just the channel."
        self.patience = 0.0
        "Seconds for which a detached run waits for an answer while no controller is there."
        self.stops = False
        "Whether a detached run stops at the next step boundary when its controller is gone."
        self.stopping = threading.Event()
        self.hosts: List[Host] = []
        self._numbers = itertools.count(1)
        self.incoming = Incoming(self.store)
        self._fetching: Dict[str, threading.Lock] = {}
        self._questions: Dict[int, Tuple[Message, queue.Queue[Optional[Message]]]] = {}
        self._lock = threading.Lock()
        self._identities: Dict[str, Identity] = {}

    # talking

    def send(self, message: Message) -> None:
        """Sends a message, redacted; a controller that is gone is noticed, not fatal."""
        self.send_many([message])

    def send_many(self, messages: List[Message]) -> None:
        """Sends messages in one write."""
        if self.link is not None:
            self.link.tell([self.clean(one) for one in messages])
            return
        if not self.connected:
            return
        try:
            self.channel.send_many([self.clean(one) for one in messages])
        except OSError:
            self.lost()

    def reply(self, message: Message) -> None:
        """Answers what the controller asked a run to do; one that comes back gets the answers that it missed."""
        if self.link is not None:
            self.link.reply(self.clean(message))
        else:
            self.send(message)

    def ask(self, message: Message) -> Message:
        """Sends a question and waits for its answer. Raises Disconnected."""
        number = next(self._numbers)
        question = {**message, "id": number}
        answer: queue.Queue[Optional[Message]] = queue.Queue()
        with self._lock:
            if not self.connected and self.link is None:
                raise Disconnected
            self._questions[number] = question, answer
        if self.link is not None:  # who only watches could not answer
            self.link.tell([self.clean(question)], answering=True)
        else:
            self.send(question)
        found = self._answer(number, answer)
        if found is None:
            raise Disconnected
        return found

    def _answer(self, number: int, answer: queue.Queue[Optional[Message]]) -> Optional[Message]:
        while True:
            try:
                return answer.get(timeout=None if self.link is None else 0.5)
            except queue.Empty:
                alone = self.link.alone() if self.link is not None else 0.0
            if alone > self.patience or (alone and self.stopping.is_set()):
                with self._lock:
                    self._questions.pop(number, None)
                return None

    def open_questions(self) -> List[Message]:
        """What nobody has answered yet; of a content, what has come since it was asked for is not asked for again."""
        self.incoming.stop()
        with self._lock:
            for question, _ in self._questions.values():
                if question["type"] == "blob":
                    question["have"] = self.store.half(question["sha256"])
            return [self.clean(question) for question, _ in self._questions.values()]

    def answer(self, message: Message) -> None:
        """Hands an answer to the thread that asked."""
        with self._lock:
            _, waiting = self._questions.pop(int(message.get("id", 0)), (None, None))
        if waiting is not None:
            waiting.put(message)

    def fetch(self, sha256: str, told: Callable[[int], None]) -> None:
        """Has the controller send a content into the store, once. Raises ResourceError when it cannot.

        `told` hears how many bytes are here. What came of it over an earlier connection is not sent again.
        """
        with self._lock:
            mine = self._fetching.setdefault(sha256, threading.Lock())
        with mine:
            if self.store.has(sha256):
                return
            self.incoming.told[sha256] = told
            try:
                reply = self.ask({"type": "blob", "sha256": sha256, "have": self.store.half(sha256)})
            except Disconnected:
                raise ResourceError("the controller is gone before it sent a content this task needs") from None
            finally:
                del self.incoming.told[sha256]
        why = reply.get("refused") or self.incoming.broken.pop(sha256, "")
        if why:
            raise ResourceError(f"a content this task needs did not reach the host: {why}")

    def lost(self) -> None:
        """The connection is gone: nobody waits for an answer any longer."""
        with self._lock:
            self.connected = False
            waiting, self._questions = list(self._questions.values()), {}
        for _, one in waiting:
            one.put(None)

    def asked_to_stop(self) -> None:
        """Someone on the host wants the run to end (`provision unlock`): as the controller's `stop`."""
        self.send({"type": "diagnostic", "severity": "warning",
                   "summary": "this run was asked to stop by `provision unlock`: the running steps finish"})
        self.stopping.set()

    def clean(self, record: Message) -> Message:
        """The record without the values of secrets."""
        if not self.secrets:
            return record
        found = self.redactor.json(record)
        return found if isinstance(found, dict) else record

    # what arrived

    def take_secrets(self, values: Dict[str, str]) -> None:
        """Keeps secrets in memory; from now on nothing that is written or sent shows them."""
        self.secrets.update(values)
        self.redactor = Redactor([Secret(value, name) for name, value in self.secrets.items()])

    def take_contents(self, texts: Dict[str, str]) -> None:
        """Keeps small text contents in memory by digest."""
        for sha256, text in texts.items():
            self.contents[sha256] = text.encode("utf-8", "surrogateescape")

    # working

    def stop(self, kill: bool = False) -> None:
        """No further step is begun; with `kill` the commands of those that run are ended."""
        from personaplex_provision.agent.process import kill_group

        self.stopping.set()
        for host in list(self.hosts) if kill else []:
            for process in list(host.processes):
                kill_group(process)

    def resource(self, task: Task) -> Resource:
        """The resource of a compiled task; its secret contents are ready to be read by digest."""
        found = kinds.build(kinds.find(task.kind, self.library), task.params, self.secrets)
        for value in vars(found).values() if self.secrets else ():
            if isinstance(value, Blob) and value.secret:
                self.contents[value.sha256] = self.secrets[value.secret].encode("utf-8", "surrogateescape")
        return found

    def host(
        self, task: Task, record: Callable[[List[Image]], None] | None = None, event: Callable[..., None] | None = None,
    ) -> Host:
        """The real host as `task` sees it. Raises ResourceError when its user does not exist."""
        environment = {
            name: self.secrets[value["$secret"]] if isinstance(value, dict) else str(value)
            for name, value in task.environment.items()
            if not isinstance(value, dict) or value["$secret"] in self.secrets  # a rollback has none
        }
        return Host(
            self.machine, self.store, self._identity(task.user), environment, self.contents, record, event,
            task.timeout, self.fetch,
        )

    def _identity(self, name: str) -> Identity:
        if name not in self._identities:
            try:
                self._identities[name] = Identity(name)
            except KeyError:
                raise ResourceError(f'the user "{name}" does not exist on this host') from None
            if self._identities[name].foreign and os.geteuid() != 0:
                del self._identities[name]
                raise ResourceError(
                    f'only root can become "{name}"', hint="add `become: true`, so that the agent runs as root",
                )
        return self._identities[name]

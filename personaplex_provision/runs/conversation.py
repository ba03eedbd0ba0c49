"""The controller's side of the conversation with one agent: events are told, questions are answered."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.protocol import BlobChunk, Channel, ProtocolError, Secrets, typed
from personaplex_provision.errors import Diagnostic, ProvisionError, UnreachableError

Event = dict[str, Any]
Answer = Callable[[Event], "Event | None"]
"Answers a question of the agent's; None when it is none, and only had to be heard."
EVENTS = frozenset({
    "plan_task", "plan_same", "task_start", "task_progress", "task_output", "task_end", "rollback_task", "diagnostic",
    "handler_owed",
})
_REPLIES = frozenset({"begun", "locked", "applied", "ended", "rolled_back", "moved", "failed"})
"What answers the orders of a run; a run keeps them for a controller that comes back."


class AgentError(ProvisionError):
    """The agent could not do what it was asked."""

    exit_code = 4


class AgentBug(AgentError):
    """The agent found a bug of ours."""

    exit_code = 1


class AgentRefused(AgentError):
    """The agent found that what was asked for must not be begun; nothing was changed."""

    exit_code = 10


class Conversation:
    """One channel; `tell` gets the events, `answers` maps a question's type to who answers it."""

    def __init__(self, host: str, channel: Channel, tell: Callable[[list[Event]], None]) -> None:
        self.host = host
        self.channel = channel
        self.tell = tell
        self.answers: dict[str, Answer] = {}
        self.last = 0
        "Number of the newest record of the run's journal that was told."
        self.got = 0
        "Answers to orders that came since the run began."
        self._silence: float | None = None
        self._came: collections.deque[Event] = collections.deque()
        "What was received and not looked at yet."
        self.stuck = False
        "Whether a question could not be answered: the agent waits, and is of no use any more."
        self._sending = threading.Lock()

    def send(self, message: Event) -> None:
        """Sends a message. Raises UnreachableError."""
        try:
            self.channel.send(message)
        except OSError as error:
            raise self._lost(str(error)) from None

    def ask(self, message: Event, *until: str) -> Event:
        """Sends a message and follows what comes until one of the types `until`; that message is returned.

        Raises UnreachableError when the connection ends, AgentError when the agent reports a failure, AgentRefused
        when it will not begin.
        """
        self.send(message)
        return self.follow(*until)

    def follow(self, *until: str) -> Event:
        """Tells events and answers questions until a message of a type in `until`."""
        news: list[Event] = []
        while True:
            if not self._came:
                news = self._told(news)
                self._came.extend(self._receive())
            message = self._came.popleft()
            kind = message["type"]
            told = message.pop("n", 0)
            number = told if isinstance(told, int) else 0
            if number and number <= self.last and kind != "confirm":
                continue  # told before the connection was lost
            if kind != "handler_owed":  # what comes next has the same number
                self.last = max(self.last, number)
            if kind in EVENTS and kind not in until:
                news.append(message)
                continue
            news = self._told(news)
            self.got += kind in _REPLIES
            if kind in until:
                return message
            if kind == "failed":
                raise self._failure(message)
            if kind in self.answers:
                self._answer(kind, message)

    def _told(self, news: list[Event]) -> list[Event]:
        if news:
            self.tell(news)
        return []

    def _answer(self, kind: str, message: Event) -> None:
        try:
            answer = self.answers[kind](message)
        except ProvisionError:
            self.stuck = True
            raise
        if answer is not None:
            self.send({**answer, "type": kind, "id": message.get("id", 0)})

    def _failure(self, message: Event) -> AgentError:
        what = AgentBug if message.get("bug") else AgentRefused if message.get("refused") else AgentError
        return what(Diagnostic(
            f"{self.host}: {message.get('summary') or 'the agent failed'}", str(message.get("detail") or ""),
            hint=str(message.get("hint") or ""),
        ))

    def count_from_here(self, silence: float) -> None:
        """A run begins: what it tells is counted, and `silence` seconds without a word mean that it is lost."""
        self.last = self.got = 0
        self._silence = silence

    def follow_on(self, before: Conversation) -> None:
        """This conversation goes on where one ended."""
        self.last, self.got, self._silence = before.last, before.got, before._silence
        self.answers = before.answers

    def _receive(self) -> list[Event]:
        try:
            found = [typed(one) for one in self.channel.receive_all(self._silence)]
        except TimeoutError:
            raise self._lost(f"nothing was heard for {self._silence:g} seconds") from None
        except (EOFError, OSError) as error:
            raise self._lost(str(error)) from None
        except ProtocolError as error:
            raise self._lost(f"what arrived makes no sense: {error}") from None
        if any(isinstance(one, (BlobChunk, Secrets)) for one in found):
            raise self._lost("the host sent what only the controller sends")
        return [one for one in found if isinstance(one, dict)]

    def _lost(self, why: str) -> UnreachableError:
        return UnreachableError(Diagnostic(
            f"{self.host}: the connection to the agent ended", why,
            hint="the host keeps a journal: run the same command again, it finishes or undoes the step first",
        ))

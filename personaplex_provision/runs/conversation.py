"""The controller's side of the conversation with one agent: events are told, questions are answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.protocol import BlobChunk, Channel, ProtocolError, Secrets, typed
from personaplex_provision.errors import Diagnostic, ProvisionError, UnreachableError

Event = dict[str, Any]
EVENTS = frozenset({
    "plan_task", "task_start", "task_progress", "task_output", "task_end", "rollback_task", "diagnostic",
    "handler_owed",
})


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
    """One channel; `tell` gets every event, `answers` maps a question's type to who answers it."""

    def __init__(self, host: str, channel: Channel, tell: Callable[[Event], None]) -> None:
        self.host = host
        self.channel = channel
        self.tell = tell
        self.answers: dict[str, Callable[[Event], Event]] = {}
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
        while True:
            message = self._receive()
            kind = message["type"]
            if kind in until:
                return message
            if kind == "failed":
                what = AgentBug if message.get("bug") else AgentRefused if message.get("refused") else AgentError
                raise what(Diagnostic(
                    f"{self.host}: {message.get('summary') or 'the agent failed'}", str(message.get("detail") or ""),
                    hint=str(message.get("hint") or ""),
                ))
            if kind in EVENTS:
                self.tell(message)
            elif kind in self.answers:
                answer = self.answers[kind](message)
                self.send({**answer, "type": kind, "id": message.get("id", 0)})

    def _receive(self) -> Event:
        try:
            message = typed(self.channel.receive())
        except (EOFError, OSError) as error:
            raise self._lost(str(error)) from None
        except ProtocolError as error:
            raise self._lost(f"what arrived makes no sense: {error}") from None
        if isinstance(message, (BlobChunk, Secrets)):
            raise self._lost("the host sent what only the controller sends")
        return message

    def _lost(self, why: str) -> UnreachableError:
        return UnreachableError(Diagnostic(
            f"{self.host}: the connection to the agent ended", why,
            hint="the host keeps a journal: run the same command again, it finishes or undoes the step first",
        ))

"""One host's connection, and what is asked over it."""

from __future__ import annotations

import time
from collections.abc import Callable

from personaplex_provision.agent.events import Heard, apart
from personaplex_provision.executors.bootstrap import Agent, start_agent
from personaplex_provision.executors.connection import Connection
from personaplex_provision.runs.conversation import Answer, Conversation, Event
from personaplex_provision.runs.dialling import Dialling
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import HostOutcome
from personaplex_provision.runs.phases import Phases
from personaplex_provision.runs.standing import ENDS, Standing, detached


class HostLink:
    """Lives as long as the connection to one host, or with a run on it through several."""

    def __init__(
        self, name: str, connection: Connection, tell: Callable[[Event], None], options: Options, facts: bool = True,
    ) -> None:
        self.name = name
        self.connection = connection
        self.options = options
        self.outcome = HostOutcome()
        self.hello: Event = {}
        self.waited = False
        "Whether another run held the host when this one came."
        self.spent = Phases()
        self.dialling = Dialling()
        "Where the connection may have been begun already."
        self.heard = Heard()
        "What events said before, here and on the other hosts of the command."
        self.crowd = 1
        "Hosts of the command, this one included."
        self.tell_all: Callable[[list[Event]], None] | None = None
        "Who takes many events at once."
        self.reaching = 0.0
        "Since when, monotonic, the host is being reached; 0 when it is not."
        self.kinds: set[str] = set()
        "Kinds that the plays written for this host use, as far as that can be read."
        self._facts = facts
        self._tell = tell
        self._agent: Agent | None = None
        self._sent_secrets: set[str] = set()
        self._standing: Standing | None = None
        "The run on the host, once it was begun; it outlives connections."

    def connect(self) -> Event:
        """Starts the agent; returns its hello, facts included. Raises UnreachableError."""
        hello = {"type": "hello", "facts": self._facts, "kinds": sorted(self.kinds), "packs": True}
        self.reaching = time.monotonic()
        try:
            with self.spent.spending("connect"):
                executor = self.dialling.executor(self.connection)
            with self.spent.spending("bootstrap"):
                self._agent = start_agent(self.connection, [hello], executor, kinds=self.kinds)
        finally:
            self.reaching = 0.0
        self._talk = self._conversation(self._agent)
        with self.spent.spending("facts"):
            self.hello = self._talk.follow("hello")
        return self.hello

    def _conversation(self, agent: Agent) -> Conversation:
        agent.channel.heard = self.heard
        talk = Conversation(self.name, agent.channel, self._events)
        talk.answers = self._answers()
        return talk

    def _reconnect(self) -> Conversation:
        """A conversation over a new connection, for coming back to a run."""
        hello: Event = {"type": "hello", "facts": False, "packs": True}
        agent = start_agent(self.connection, [hello])
        self.close()
        self._agent, self._sent_secrets = agent, set()
        self._talk = self._conversation(agent)
        self._talk.follow("hello")
        return self._talk

    def close(self) -> None:
        """Hangs up."""
        if self._agent is not None:
            agent, self._agent = self._agent, None
            agent.close()

    def confirm(self, run: str) -> bool:
        """Tells the host over a connection of its own that it can still be reached; False when nothing waits for it."""
        agent = start_agent(self.connection, [{"type": "hello", "facts": False}])
        try:
            talk = Conversation(self.name, agent.channel, lambda _event: None)
            talk.follow("hello")
            return bool(talk.ask({"type": "confirm", "run": run}, "confirmed")["confirmed"])
        finally:
            agent.close()

    def stop(self, kill: bool = False) -> None:
        """Asks the agent to start nothing more; with `kill` also ends what runs."""
        if self._standing is not None:
            self._standing.stop(kill)
        elif self._agent is not None:
            self._talk.send({"type": "stop", "kill": kill})

    def rollback(self, message: Event) -> Event:
        """Takes runs back, or says what that would do; returns `rolled_back` or `moved`. Raises LockedError."""
        order: Event = {"type": "rollback", **message}
        if message.get("plan"):
            return self._talk.ask(order, "rolled_back", "moved")
        reply = self._leased(message["id_"], order, "rolled_back", "moved")
        if reply["type"] == "gone":
            return {"type": "rolled_back", "good": ENDS[reply["outcome"]] == 0, "runs": []}
        return {"type": "rolled_back", "good": True, "stopped": True} if reply["type"] == "locked" else reply

    def runs(self, only: str = "") -> list[Event]:
        """The runs recorded on the host, oldest first; all of them with their size."""
        return list(self._talk.ask({"type": "runs", "run": only, "sizes": not only}, "runs")["runs"])

    def watch(self, run: str) -> Event:
        """Follows a run that somebody else began to its end: its `run` and `outcome`."""
        found = self._talk.ask({"type": "attach", "run": run, "after": 0, "packs": True}, "attached")
        if found["live"]:
            self._told({"type": "diagnostic", "severity": "info", "summary": f"attached to the run {found['run']}"})
            found["outcome"] = self._talk.follow("run_end")["outcome"]
        return found

    def ask(self, message: Event, until: str) -> Event:
        """Asks what neither needs nor makes a run. Raises AgentError, UnreachableError."""
        return self._talk.ask(message, until)

    def prune(self, message: Event) -> Event:
        """Has runs dropped, or says which would go; returns `pruned`, or `locked` when we were stopped."""
        return self._leased("", {"type": "prune", **message}, "pruned")

    def _leased(self, run: str, order: Event, *until: str) -> Event:
        """Asks for what needs the lease, for a `run` that outlives the connection; `locked` when we were stopped.

        Raises LockedError.
        """
        from personaplex_provision.errors import LockedError
        from personaplex_provision.runs.holder import locked

        self._standing = Standing(
            self.name, run, self._talk, self._reconnect, self.confirm, self._told, self.options,
        )
        outliving = detached(self.options, self.connection, self.crowd) if run else {}
        reply = self._standing.ask({**order, **outliving}, *until, "locked")
        self.waited = self._standing.waited
        if reply["type"] == "locked" and not reply.get("stopped"):
            raise LockedError(locked(self.name, reply["holder"]))
        return reply

    def _answers(self) -> dict[str, Answer]:
        """Who answers what the agent asks, by the type of the question."""
        return {}

    def _events(self, events: list[Event]) -> None:
        for event in apart(events):
            self._told(event)

    def _told(self, event: Event) -> None:
        self._tell({**event, "host": self.name})

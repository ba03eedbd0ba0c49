"""A run on a host that outlives the connections to it: what one of them lost is asked again over the next."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from personaplex_provision.errors import Diagnostic, UnreachableError
from personaplex_provision.executors.connection import Connection
from personaplex_provision.runs.conversation import Conversation, Event
from personaplex_provision.runs.holder import news
from personaplex_provision.runs.options import Options

ENDS = {
    "ok": 0, "failed": 4, "unverified": 6, "interrupted": 4, "rolled back": 3, "rollback failed": 9, "refused": 7,
}
"Exit code by the outcome with which a run closed its journal."
_MISSED = 4
"Signs of life that may be missing before a connection counts as dead."
_LONGEST = 15.0
"Seconds between two attempts to come back, at the most."
_SURE = ("local", "docker", "podman", "chroot", "nspawn")
"Connections that nothing on the host can cut."


_GATHER = 0.2
_GATHER_EACH = 0.02
_GATHER_MOST = 2.0
"Seconds for which a host may gather news before it tells them, and how many more each other host makes that."


def detached(options: Options, connection: Connection, hosts: int = 1) -> Event:
    """What the message that begins a run on one of some hosts says of going on without its controller."""
    found: Event = {
        "detach": True, "on_disconnect": options.on_disconnect, "patience": options.reconnect_timeout,
        "beat": options.heartbeat, "gather": min(_GATHER + _GATHER_EACH * (hosts - 1), _GATHER_MOST),
    }
    if options.confirm != "off" and connection.kind not in _SURE:
        found["confirm"] = {"mode": options.confirm, "timeout": options.confirm_timeout}
    return found


class Standing:
    """One run on one host. Every `ask` may take several connections, which `reconnect` opens; `confirm` tells the host
    over a connection of its own that it can still be reached."""

    def __init__(
        self, name: str, run: str, talk: Conversation, reconnect: Callable[[], Conversation],
        confirm: Callable[[str], bool], tell: Callable[[Event], None], options: Options,
    ) -> None:
        self.name, self.run, self.talk = name, run, talk
        self._reconnect, self._confirm_run, self._tell, self._options = reconnect, confirm, tell, options
        self._orders: list[Event] = []
        "Orders that were not answered yet, oldest first."
        self._given = 0
        "Orders given since the run began, the one that begins it aside."
        self._stop: Event | None = None
        self.waited = False
        "Whether another run held the host first."
        talk.count_from_here(options.heartbeat * _MISSED)
        talk.answers |= {"confirm": self._confirm, "lease": self._lease}

    def ask(self, order: Event, *until: str) -> Event:
        """Gives an order and follows the run to its answer, or to `gone` with the outcome of a run that has ended.

        Raises UnreachableError when the host does not come back in time, or the run was killed there.
        """
        return self.ask_all([order], *until)

    def ask_all(self, orders: Sequence[Event], *until: str) -> Event:
        """Gives orders, none when they were given before; otherwise as `ask`."""
        self._orders += orders
        self._given += sum(one["type"] not in ("begin", "rollback") for one in orders)
        missing = list(orders)
        while True:
            try:
                for one in missing:
                    self.talk.send(one)
                found = self.talk.follow(*until)
                del self._orders[:1]
                return found
            except UnreachableError as lost:
                if not self.run:
                    raise
                came = self._come_back(lost)
                if came["type"] == "gone":
                    return came
                behind = self._given - int(came["heard"])
                missing = self._orders[len(self._orders) - behind:] if behind > 0 else []

    def stop(self, kill: bool) -> None:
        """Has the run begin nothing more; said again when the connection comes back."""
        self._stop = {"type": "stop", "kill": kill}
        with contextlib.suppress(UnreachableError):
            self.talk.send(self._stop)

    def _come_back(self, lost: UnreachableError) -> Event:
        """The answer of the run, or `gone`. Raises `lost` when it does not come."""
        began, pause, said = time.monotonic(), 0.5, False
        while True:
            if time.monotonic() - began > self._options.reconnect_timeout:
                raise lost
            try:
                talk = self._reconnect()
            except UnreachableError:
                if not said:
                    self._note("warning", "the connection was lost; the run goes on there, trying to come back")
                    said = True
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST)
                continue
            talk.follow_on(self.talk)
            self.talk = talk
            found = talk.ask({"type": "attach", "run": self.run, "after": talk.last, "got": talk.got, "answers": True,
                              "packs": True}, "attached")
            if found["live"]:
                self._note("info", "connected again; the run went on meanwhile")
                if self._stop is not None:
                    talk.send(self._stop)
                return found
            if found["outcome"] in ENDS:
                return {**found, "type": "gone"}
            if not found.get("deadline"):
                raise lost
            time.sleep(1.0)  # the host is about to take the run back

    def _lease(self, message: Event) -> None:
        self.waited = self.waited or message["news"] == "waiting"
        self._tell({"type": "diagnostic", **news(message).as_json()})

    def _confirm(self, message: Event) -> None:
        """Confirms over a new connection that the host can still be reached; the run waits for it meanwhile."""
        steps = ", ".join(message["steps"])
        if message["mode"] == "manual":
            self._note("warning", f"waiting {message['timeout']:g} s for a confirmation: {steps} may have cut the "
                       "connection, and is taken back without one", f"provision confirm {self.run}")
        else:
            threading.Thread(target=self._confirm_now, args=(float(message["timeout"]), steps), daemon=True).start()

    def _confirm_now(self, timeout: float, steps: str) -> None:
        deadline, why = time.monotonic() + timeout, ""
        while time.monotonic() < deadline:
            try:
                self._confirm_run(self.run)
                return
            except UnreachableError as error:
                why = error.diagnostics[0].summary
                time.sleep(0.5)
        self._note("error", f"no new connection after {steps}: {why}", "the host takes the run back by itself")

    def _note(self, severity: str, summary: str, hint: str = "") -> None:
        one = Diagnostic(f"{self.name}: {summary}", hint=hint)
        self._tell({"type": "diagnostic", **one.as_json(), "severity": severity})

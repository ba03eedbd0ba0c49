"""Whom a run speaks to: the controller that answers it, which may go and come back, and others that only watch.

Each is written to by a thread of its own, so that a slow or dead connection never holds up a task.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from typing import Any, Deque, Dict, List, Optional

from personaplex_provision.agent.protocol import Channel

Message = Dict[str, Any]

BEAT = 5.0
"Seconds of silence after which a run says that it is alive."
FULL = 1000
"Messages waiting for one peer above which those who produce output wait for it."
LONGEST = 0.2
"""Seconds for which news that nobody waits for are gathered at the most, unless the controller names others: a packet
each would cost both ends more than the steps."""
FIRST = 0.1
"The part of it for which the first news after a silence are; from then on it doubles."
STALLED = 15.0
"Seconds without room after which a peer counts as gone; the journal tells it the rest when it comes back."


class Peer:
    """One connection to a run, and the messages that wait for it."""

    def __init__(self, channel: Channel, answers: bool, beat: float, longest: float) -> None:
        self.channel = channel
        self.answers = answers
        "Whether it answers the run's questions: the controller, not one who only watches."
        self.gone = False
        self._beat = beat
        self._longest = longest
        self._first = longest * FIRST
        self._waiting: Deque[Message] = collections.deque()
        self._changed = threading.Condition()
        self._pressing = threading.Event()
        "Whether something waits that somebody is held up by."
        self._thread = threading.Thread(target=self._write, name="peer", daemon=True)
        self._thread.start()

    def put(self, messages: List[Message], patient: bool, pressing: bool = False) -> None:
        """Hands messages over; a `patient` caller waits while there is no room, a `pressing` one for an answer."""
        with self._changed:
            if patient and len(self._waiting) > FULL:
                self._pressing.set()
                self._changed.wait_for(lambda: self.gone or len(self._waiting) <= FULL, STALLED)
                self.gone = self.gone or len(self._waiting) > FULL
            if not self.gone:
                if not self._waiting:
                    self._changed.notify_all()  # the thread that writes; it looks for more by itself
                self._waiting.extend(messages)
        if pressing:
            self._pressing.set()

    def leave(self) -> None:
        """Nothing more is written."""
        with self._changed:
            self.gone = True
            self._changed.notify_all()
        self._pressing.set()

    def drain(self, patience: float) -> None:
        """Waits until everything was written, at most so many seconds."""
        self._pressing.set()
        with self._changed:
            self._changed.wait_for(lambda: self.gone or not self._waiting, patience)

    def _write(self) -> None:
        patience = 0.0
        while True:
            began = time.monotonic()
            with self._changed:
                self._changed.wait_for(lambda: self.gone or bool(self._waiting), self._beat)
                some = bool(self._waiting)
            if some:
                busy = time.monotonic() - began <= self._longest
                patience = min(2 * patience, self._longest) if patience and busy else self._first
                self._pressing.wait(patience)
            self._pressing.clear()
            with self._changed:
                if self.gone:
                    return
                batch = list(self._waiting) or [{"type": "heartbeat", "ts": round(time.time(), 3)}]
            try:
                self.channel.send_many(batch)
            except OSError:
                self.leave()
                return
            with self._changed:
                for _ in range(min(len(batch), len(self._waiting))):
                    self._waiting.popleft()
                self._changed.notify_all()


class Link:
    """The peers of one run."""

    def __init__(self, channel: Channel, beat: float = BEAT, longest: float = LONGEST) -> None:
        self.beat = beat
        self.longest = longest
        self.replies: List[Message] = []
        "What the controller was answered, in order: it may ask again for those that it did not get."
        self._peers: List[Peer] = []
        self._lock = threading.Lock()
        self._alone: Optional[float] = None
        self.first = self.join(channel, True)

    def join(self, channel: Channel, answers: bool, first: List[Message] | None = None) -> Peer:
        """A new peer, who is told `first` before all else; one that answers takes the place of the one before."""
        peer = Peer(channel, answers, self.beat, self.longest)
        if first:
            peer.put(first, False, True)
        with self._lock:
            for other in list(self._peers) if answers else []:
                if other.answers:
                    other.leave()
                    self._peers.remove(other)
            self._peers.append(peer)
            if answers:
                self._alone = None
        return peer

    def lost(self, peer: Peer) -> None:
        """The peer's connection ended."""
        peer.leave()
        with self._lock:
            if peer in self._peers:
                self._peers.remove(peer)
                if peer.answers:
                    self._alone = time.monotonic()

    def alone(self) -> float:
        """Seconds for which nobody has been there who answers; 0 while somebody is."""
        with self._lock:
            for peer in [one for one in self._peers if one.gone]:
                self._peers.remove(peer)
                if peer.answers and self._alone is None:
                    self._alone = time.monotonic()
            return 0.0 if self._alone is None else max(time.monotonic() - self._alone, 0.001)

    def tell(self, messages: List[Message], answering: bool = False) -> None:
        """Tells everybody, or who is `answering`. Output waits for room; what the journal holds can be told again."""
        patient = any(one["type"] == "task_output" for one in messages)
        with self._lock:
            peers = [one for one in self._peers if one.answers or not answering]
        for peer in peers:
            peer.put(messages, patient, answering)

    def reply(self, message: Message) -> None:
        """Answers the controller."""
        self.replies.append(message)
        self.tell([message], answering=True)

    def drain(self, patience: float = 5.0) -> None:
        """Waits until everybody was told everything."""
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.drain(patience)


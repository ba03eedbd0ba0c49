"""A conversation with the server: /api/chat, in real time, with what is heard and when."""

from __future__ import annotations

import array
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .speech import LOUD, Codec, Samples, loudness, silence, FRAME
from .websocket import Closed, WebSocket

HANDSHAKE, AUDIO, TEXT = b"\x00", b"\x01", b"\x02"


class Busy(Exception):
    """The server upgrades and says nothing: it holds one conversation at a time, and another one is on."""


class Dropped(Exception):
    """The server hung up before the conversation began. Why is in its log only."""


@dataclass
class Heard:
    """One message of the server."""

    at: float
    "Seconds of the monotonic clock."
    loudness: float = 0.0
    "Of audio."
    text: str = ""


@dataclass
class Server:
    """Where PersonaPlex answers."""

    address: str
    port: int
    authority: str = ""
    "File with the certificate to trust; without TLS when empty."


@dataclass
class Conversation:
    """An open conversation; the voice and the role are chosen when it begins."""

    server: Server
    voice: str
    role: str
    patience: float = 60.0
    "Seconds to wait for the handshake, which comes after the voice and the role were taken in."
    guard: Callable[[], None] = lambda: None
    "Called before each frame; what it raises ends the conversation."
    heard: list[Heard] = field(default_factory=list)
    sound: Samples[float] = field(default_factory=lambda: array.array("f"))
    "Everything that the model said, as samples."
    handshake: float = 0.0
    "Seconds until the server was ready to listen."

    def __enter__(self) -> Conversation:
        """Raises OSError (nothing there), Busy, or Dropped."""
        query = {"voice_prompt": self.voice, "text_prompt": self.role}
        began = time.monotonic()
        self._socket = WebSocket(self.server.address, self.server.port, "/api/chat", query, self.server.authority)
        try:
            first = self._socket.receive(self.patience)
        except Closed as error:
            self._socket.close()
            raise Dropped(f"the server hung up (code {error.code}) before it listened: its log says why") from None
        if first is None:
            self._socket.close()
            raise Busy(f"no handshake within {self.patience:g} s")
        if first != HANDSHAKE:
            self._socket.close()
            raise Dropped(f"the first message is {first[:8]!r}, not the handshake")
        self.handshake = time.monotonic() - began
        self._codec = Codec()
        self._clock = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, samples: Samples[float]) -> None:
        """One frame of 80 ms at its time: real time is kept over the whole conversation, not from frame to frame."""
        self.guard()
        pages = self._codec.encode(samples)
        if pages:
            self._socket.send(AUDIO + pages)
        self._clock += FRAME / 24000
        self._listen(self._clock)

    def wait(self, seconds: float) -> None:
        """Say nothing for so long, which is to send silence: a microphone that is open never stops."""
        for _ in range(max(1, round(seconds / 0.08))):
            self.say(silence(FRAME))

    def answer(self, since: float) -> float | None:
        """When the model first spoke after `since`, or None: a piece of text, or sound that is loud enough."""
        return next((one.at for one in self.heard if one.at >= since and (one.text or one.loudness >= LOUD)), None)

    def text(self) -> str:
        """What the model said."""
        return "".join(one.text for one in self.heard).strip()

    def _listen(self, until: float) -> None:
        while True:
            left = until - time.monotonic()
            if left <= 0 and not self._socket.pending():
                return
            message = self._socket.receive(max(left, 0.001))
            if message is None:
                continue
            now = time.monotonic()
            if message[:1] == AUDIO:
                samples = self._codec.decode(message[1:])
                self.sound.extend(samples)
                self.heard.append(Heard(now, loudness=loudness(samples)))
            elif message[:1] == TEXT:
                self.heard.append(Heard(now, text=message[1:].decode("utf-8", "replace")))

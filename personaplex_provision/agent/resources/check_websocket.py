"""The `check_websocket` kind."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, Literal
from urllib.parse import urlsplit

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _tls
from personaplex_provision.agent.resources._check import Check, Matcher, require_positive
from personaplex_provision.agent.resources._websocket import Closed, Refused, WebSocket

EXAMPLE = """
- name: a conversation begins
  check_websocket:
    url: wss://localhost:8998/api/chat?voice_prompt=NATF2.pt&text_prompt=You%20are%20friendly.
    ca_path: /opt/personaplex/tls/cert.pem
    first: "00"
    timeout: 60
    when_silent: accept
"""


@dataclass
class CheckWebsocket(Check):
    """Whether a WebSocket is opened, and what it says first.

    A server that serves one at a time opens the socket of the next and then says nothing: it is busy, not dead.
    """

    kind = "check_websocket"
    free_form = "url"
    matched = ("status", "first", "seconds")

    url: str
    "The address, ws or wss."
    ca_path: str | None = None
    "File with the certificates to trust; those of the host when left out."
    validate_certs: bool = True
    "Whether the server's certificate must be trusted."
    headers: Dict[str, str] = field(default_factory=dict)
    "Headers of the request that opens it; a token may be a secret."
    send: str | None = None
    "Text that is sent once it is open."
    timeout: float = 20.0
    "Seconds to wait for the first message."
    status: Matcher | None = field(default_factory=lambda: {"equals": 101})
    "The HTTP status of the answer."
    first: Matcher | None = None
    "The first message: text as it is, binary in hexadecimal. With none wanted, opening is enough."
    when_silent: Literal["fail", "accept"] = "fail"
    "What it means when it opens and `first` does not come: another client has the only session, or something hangs."
    seconds: Matcher | None = None
    "Time from connecting to the first message."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if not self.url.startswith(("ws://", "wss://")) or not urlsplit(self.url).hostname:
            yield "url must begin with ws:// or wss:// and name a host"

    def title(self) -> str:
        return self.url.partition("?")[0]

    def look(self, host: Host) -> Dict[str, Any]:
        parts = urlsplit(self.url)
        secure = parts.scheme == "wss"
        trusted = host.expand(self.ca_path) if self.ca_path else ""
        context = _tls.context(trusted, self.validate_certs) if secure else None
        began = time.monotonic()
        found: Dict[str, Any] = {"busy": False}
        with _tls.connect(parts.hostname or "", parts.port or (443 if secure else 80), self.timeout, context) as link:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            try:
                talk = WebSocket.open(link, parts.netloc.rpartition("@")[2], target, self.headers)
            except Refused as refused:
                return {**found, "status": refused.status, "detail": refused.body}
            except OSError as error:
                raise ResourceError(f"{self.title()} gave no answer to the upgrade", str(error)) from None
            found["status"] = 101
            if self.send is not None:
                talk.send_text(self.send)
            if self.first is not None:
                self._listen(talk, found, began + self.timeout)
                found["seconds"] = round(time.monotonic() - began, 3)
            talk.close()
        return found

    def _listen(self, talk: WebSocket, found: Dict[str, Any], end: float) -> None:
        try:
            message = talk.receive(end)
        except Closed as closed:
            found["close_code"] = closed.code
            raise ResourceError(
                f"{self.title()} was opened and closed again with {closed.code} before it said anything",
                closed.reason, "the server says why in its log: often a parameter that is missing or wrong", found,
            ) from None
        except TimeoutError:
            found["busy"] = True
            if self.when_silent == "accept":
                found["unasked"] = ["first"]
                return
            raise ResourceError(
                f"{self.title()} was opened, and then said nothing for {self.timeout:g} seconds: it is busy with "
                "another client, or hangs", "", "close other browser tabs with it, then try again", found,
            ) from None
        found["first"] = message if isinstance(message, str) else message.hex()

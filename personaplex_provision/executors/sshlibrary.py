"""paramiko, imported when the first host is connected to, and the transport that we make of it."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any

from personaplex_provision.agent.start import Later

AHEAD = 64 * 1024
"Bytes that are read from a socket at once."


_LOADING = threading.Lock()
"Held by the one of many hosts' threads that imports it for all."


def paramiko_library() -> Any:
    """paramiko, without what it would import for nothing that we use."""
    with _LOADING:
        return _paramiko()


@lru_cache(maxsize=1)
def _paramiko() -> Any:
    """Leaves out `invoke`, for one option of a parser, and `importlib.metadata`, by which it reads its own version out
    of its package's files: together they would take as long as the rest of it. And `inspect`, see `_unsigned`.
    """
    metadata: Any = ModuleType("importlib.metadata")
    metadata.version = lambda _name: ""
    absent = {"invoke": None, "importlib.metadata": metadata}
    stands: Any = {name: one for name, one in absent.items() if name not in sys.modules}
    sys.modules.update(stands)
    try:
        with _unsigned():
            import paramiko
    finally:
        for name in stands:
            del sys.modules[name]
    # Its errors reach us as exceptions; without a handler they would be printed as well.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    return paramiko


@contextlib.contextmanager
def _unsigned() -> Iterator[None]:
    """Inside the block a dataclass without a text does not get its signature as one, for which `inspect` is loaded."""
    later: Any = sys.modules.get("inspect")
    if not isinstance(later, Later):
        yield
        return
    later.signature = lambda _of: ""
    try:
        yield
    finally:
        del later.signature


class Ahead:
    """A socket that is read as far as it goes; paramiko asks for the head and the rest of each packet apart."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._data, self._at = b"", 0

    def recv(self, size: int) -> bytes:
        """At least one and at most `size` bytes; b"" at the end."""
        if self._at == len(self._data):
            self._data, self._at = self._sock.recv(max(size, AHEAD)), 0
        found = self._data[self._at:self._at + size]
        self._at += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


@lru_cache(maxsize=1)
def transport_class() -> Any:
    """A transport that asks for the authentication service once and does not wait for the answer.

    paramiko's own either asks before every attempt, a round trip each, or sleeps a tenth of a second for the answer.
    """
    paramiko = paramiko_library()
    common = paramiko.common

    handler: Any = paramiko.auth_handler.AuthOnlyHandler
    transport: Any = paramiko.ServiceRequestingTransport
    packetizer: Any = paramiko.packet.Packetizer

    class Packetizer(packetizer):  # type: ignore[misc]
        """Watches over the handshake by the clock; paramiko's own starts a thread for it."""

        until = 0.0
        "When the handshake is to be over, monotonic; 0 when none is going on."

        def start_handshake(self, timeout: float) -> None:
            self.until = time.monotonic() + timeout

        def handshake_timed_out(self) -> bool:
            return 0 < self.until < time.monotonic()

        def complete_handshake(self) -> None:
            self.until = 0.0

    class Authentication(handler):  # type: ignore[misc]
        def send_auth_request(self, username: str, method: str, finish_message: Any = None) -> Any:
            self.auth_method = method
            self.username = username
            message = paramiko.Message()
            message.add_byte(common.cMSG_USERAUTH_REQUEST)
            for text in (username, "ssh-connection", method):
                message.add_string(text)
            if finish_message:
                finish_message(message)
            # Before the request leaves: a quick answer would find no one waiting.
            self.auth_event = threading.Event()
            with self.transport.lock:
                self.transport._send_message(message)
            return self.wait_for_response(self.auth_event)

    class Transport(transport):  # type: ignore[misc]
        asked = False
        # Decrypted and verified in one step. The others need two, and compare digests in a loop of Python's.
        _preferred_ciphers = tuple(sorted(transport._preferred_ciphers, key=lambda one: "-gcm@" not in one))

        def __init__(self, sock: Any, **options: Any) -> None:
            super().__init__(Ahead(sock), packetizer_class=Packetizer, **options)

        def get_auth_handler(self) -> Any:
            return Authentication(self)

        # What is written for those who look for faults of paramiko or of the server goes nowhere here.

        def _log(self, level: int, message: Any, *args: Any) -> None:
            pass

        def _parse_debug(self, message: Any) -> None:
            pass

        def ensure_session(self) -> None:
            if not self.active or not self.initial_kex_done:
                raise paramiko.SSHException("the connection was closed")
            if not self.asked:
                self.asked = True
                self.auth_handler = self.get_auth_handler()
                message = paramiko.Message()
                message.add_byte(common.cMSG_SERVICE_REQUEST)
                message.add_string("ssh-userauth")
                # Servers answer in order, so the attempt that follows at once finds the service open.
                self._send_message(message)

    return Transport

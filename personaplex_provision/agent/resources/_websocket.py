"""A WebSocket client of the standard library (RFC 6455): enough to open one, hear what it says, and answer pings."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import struct
import time
from typing import Dict, Tuple, Union

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LARGEST = 16 << 20
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The server answered the upgrade with another status than 101."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Closed(Exception):
    """The peer closed; `code` is 1006 when it did so without a word."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


class WebSocket:
    """One open WebSocket, the client's side; lives as long as its connection."""

    def __init__(self, link: socket.socket, data: bytes = b"") -> None:
        self._link = link
        self._data = bytearray(data)

    @classmethod
    def open(cls, link: socket.socket, host: str, target: str, headers: Dict[str, str] | None = None) -> WebSocket:
        """Upgrades a connection. Raises Refused, OSError."""
        key = base64.b64encode(os.urandom(16))
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", "User-Agent: provision",
                 *(f"{name}: {value}" for name, value in (headers or {}).items())]
        link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data and len(data) < 1 << 16:
            piece = link.recv(4096)
            if not piece:
                raise ConnectionError("the connection was closed")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *more = head.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if status != 101:
            raise Refused(status, rest[:2000].decode("utf-8", "replace"))
        said = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in more)}
        wanted = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        if said.get("sec-websocket-accept") != wanted:
            raise ConnectionError("the answer to the upgrade is not that of a WebSocket")
        return cls(link, rest)

    def receive(self, end: float) -> Union[str, bytes]:
        """The next message; raises Closed, and socket.timeout after the monotonic time `end`."""
        message, kind = b"", 0
        while True:
            final, opcode, data = self._frame(end)
            if opcode == _PING:
                self._send(_PONG, data)
            elif opcode == _CLOSE:
                code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
                raise Closed(code, data[2:].decode("utf-8", "replace"))
            elif opcode != _PONG:
                kind, message = opcode or kind, message + data
                if final:
                    return message.decode("utf-8", "replace") if kind == _TEXT else message

    def send_text(self, text: str) -> None:
        """Sends a text message."""
        self._send(_TEXT, text.encode())

    def send_binary(self, data: bytes) -> None:
        """Sends a binary message."""
        self._send(_BINARY, data)

    def close(self) -> None:
        """Says goodbye, and does not wait for an answer."""
        with contextlib.suppress(OSError):
            self._send(_CLOSE, struct.pack(">H", 1000))

    def _send(self, opcode: int, data: bytes) -> None:
        mask = os.urandom(4)
        size = len(data)
        head = struct.pack(">BB", 0x80 | opcode, 0x80 | size) if size < 126 else \
            struct.pack(">BBH", 0x80 | opcode, 0xFE, size) if size < 1 << 16 else \
            struct.pack(">BBQ", 0x80 | opcode, 0xFF, size)
        self._link.sendall(head + mask + bytes(one ^ mask[at % 4] for at, one in enumerate(data)))

    def _frame(self, end: float) -> Tuple[bool, int, bytes]:
        first, second = self._take(2, end)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self._take(2, end))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8, end))[0]
        if size > _LARGEST:
            raise Closed(1009, f"a message of {size} bytes")
        mask = self._take(4, end) if second & 0x80 else b"\0\0\0\0"
        data = self._take(size, end)
        return bool(first & 0x80), first & 0x0F, bytes(one ^ mask[at % 4] for at, one in enumerate(data))

    def _take(self, size: int, end: float) -> bytes:
        while len(self._data) < size:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._link.settimeout(left)
            try:
                piece = self._link.recv(1 << 16)
            except TimeoutError:
                raise
            except OSError as error:
                raise Closed(1006, str(error)) from None
            if not piece:
                raise Closed(1006)
            self._data += piece
        found = bytes(self._data[:size])
        del self._data[:size]
        return found

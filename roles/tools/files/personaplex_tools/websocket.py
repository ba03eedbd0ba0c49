"""A WebSocket client: as much of RFC 6455 as a conversation needs."""

from __future__ import annotations

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
from urllib.parse import urlencode

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


class Refused(Exception):
    """The server answered, but did not upgrade the connection."""


class Closed(Exception):
    """The connection ended. `code` is the server's reason; 1006 when it gave none."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with code {code}")
        self.code = code


class WebSocket:
    """An open connection. `receive` waits; `send` does not. Raises OSError when nothing answers at all."""

    def __init__(self, address: str, port: int, path: str, query: dict[str, str], authority: str = "", seconds: float = 10) -> None:
        self._buffer = bytearray()
        self._socket = socket.create_connection((address, port), timeout=seconds)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if authority:
                context = ssl.create_default_context(cafile=authority)
                self._socket = context.wrap_socket(self._socket, server_hostname=address)
            self._upgrade(f"{address}:{port}", f"{path}?{urlencode(query)}")
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes, kind: int = BINARY) -> None:
        """One message, masked as a client's must be."""
        size, mask = len(data), os.urandom(4)
        head = bytes([0x80 | kind])
        head += bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + struct.pack("!H", size)
        key = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
        self._socket.sendall(head + mask + masked)

    def receive(self, seconds: float) -> bytes | None:
        """The next binary message, or None when none came in time. Raises Closed."""
        self._socket.settimeout(seconds)
        try:
            while True:
                kind, data = self._frame()
                if kind == PING:
                    self.send(data, PONG)
                elif kind == CLOSE:
                    raise Closed(struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005)
                elif kind == BINARY:
                    return data
        except socket.timeout:
            return None

    def pending(self) -> bool:
        """Whether something can be received at once."""
        ready = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return bool(self._buffer) or ready or bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Say goodbye and go."""
        try:
            self.send(struct.pack("!H", 1000), CLOSE)
        except OSError:
            pass
        self._socket.close()

    def _upgrade(self, host: str, target: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        self._socket.sendall("\r\n".join(lines).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest())
        if not head.startswith(b"HTTP/1.1 101") or accept not in head:
            raise Refused(head.split(b"\r\n")[0].decode("latin-1"))

    def _frame(self) -> tuple[int, bytes]:
        """One whole frame; what came of a frame before a timeout stays for the next call."""
        while True:
            found = _parsed(self._buffer)
            if found is not None:
                kind, data, used = found
                del self._buffer[:used]
                return kind, data
            self._read()

    def _read(self) -> None:
        try:
            found = self._socket.recv(1 << 16)
        except ConnectionError:
            found = b""
        if not found:
            raise Closed(1006)
        self._buffer += found


def _parsed(buffer: bytearray) -> tuple[int, bytes, int] | None:
    """Kind and content of the first frame, and the bytes that it takes; None while it is not whole."""
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(buffer) < start:
            return None
        size = int.from_bytes(buffer[2:start], "big")
    if len(buffer) < start + size:
        return None
    return buffer[0] & 0x0F, bytes(buffer[start : start + size]), start + size

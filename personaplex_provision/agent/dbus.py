"""D-Bus without a library: method calls to a peer behind a Unix socket, and what it answers.

As much of the protocol as asking takes: no bus in between, no signals, no file descriptors.
Source: the D-Bus specification, "Message Protocol" and "Authentication Protocol".
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

if TYPE_CHECKING:
    from _socket import socket

Call = Tuple[str, str, str, Tuple[str, ...]]
"""Object path, interface, method, and its arguments, which are all strings."""

_LARGEST = 1 << 26
_ORDERS: Dict[int, Any] = {ord("l"): "little", ord("B"): "big"}
_ALIGNED = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}
_ERROR, _SIGNAL = 3, 4
_PATH, _INTERFACE, _METHOD, _REPLY_TO, _DESTINATION, _SIGNATURE = 1, 2, 3, 5, 6, 8


class Unexpected(Exception):
    """Raised when a peer refuses a call, or says what is not understood here."""


class Connection:
    """A conversation with the peer behind a socket that was just connected."""

    def __init__(self, peer: socket) -> None:
        """Lets itself in as who this process is. Raises Unexpected and OSError."""
        self._peer = peer
        self._heard = b""
        peer.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        while b"\r\n" not in self._heard:
            self._more()
        line, _, self._heard = self._heard.partition(b"\r\n")
        if not line.startswith(b"OK "):
            raise Unexpected("not let in")
        self._calls = 0

    def ask(self, destination: str, calls: Sequence[Call]) -> List[List[Any]]:
        """What is answered to each call, all sent at once: the values of its reply.

        Raises Unexpected and OSError, and is of no use after that.
        """
        numbers = range(self._calls + 1, self._calls + len(calls) + 1)
        self._calls += len(calls)
        self._peer.sendall(b"".join(call(number, destination, *one) for number, one in zip(numbers, calls)))
        replies: Dict[int, List[Any]] = {}
        while len(replies) < len(calls):
            data = self._message()
            if data[1] == _SIGNAL:
                continue
            fields, values = message(data)
            if fields.get(_REPLY_TO) in numbers:
                replies[fields[_REPLY_TO]] = values
        return [replies[number] for number in numbers]

    def close(self) -> None:
        """Hangs up."""
        self._peer.close()

    def _message(self) -> bytes:
        size = _size(self._heard)
        while len(self._heard) < size:
            self._more()
            size = _size(self._heard)
        found, self._heard = self._heard[:size], self._heard[size:]
        return found

    def _more(self) -> None:
        found = self._peer.recv(1 << 16)
        if not found:
            raise Unexpected("it hung up")
        self._heard += found


def call(serial: int, destination: str, path: str, interface: str, method: str, arguments: Tuple[str, ...]) -> bytes:
    """A method call as a message."""
    body = b""
    for one in arguments:
        body = _padded(body, 4) + _text(one)
    fields = b""
    for code, kind, text in (
        (_PATH, "o", path), (_INTERFACE, "s", interface), (_METHOD, "s", method), (_DESTINATION, "s", destination),
        (_SIGNATURE, "g", "s" * len(arguments)),
    ):
        value = _text(text) if kind != "g" else bytes([len(text)]) + text.encode() + b"\0"
        fields = _padded(fields, 8) + bytes([code, 1, ord(kind), 0]) + value
    order = b"l" if sys.byteorder == "little" else b"B"
    return _padded(order + b"\1\0\1" + _number(len(body)) + _number(serial) + _number(len(fields)) + fields, 8) + body


def message(data: bytes) -> Tuple[Dict[int, Any], List[Any]]:
    """The header's fields by their code, and the values of a whole message. Raises Unexpected, also for an error."""
    try:
        reader = _Reader(data)
        fields = dict(reader.value("a(yv)"))
        reader.align(8)
        values = reader.values(fields.get(_SIGNATURE, ""))
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise Unexpected(f"not understood: {error}") from None
    if data[1] == _ERROR and _REPLY_TO in fields:
        raise Unexpected(str(values[0]) if values else "refused")
    return fields, values


class _Reader:
    """Takes the values of a message one after the other, from behind the fixed part of its header."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = _ORDERS[data[0]]
        self.at = 12

    def align(self, size: int) -> None:
        self.at += -self.at % size

    def number(self, size: int, signed: bool = False) -> int:
        self.align(size)
        found = self.data[self.at:self.at + size]
        if len(found) < size:
            raise ValueError("it ends too early")
        self.at += size
        return int.from_bytes(found, self.order, signed=signed)

    def text(self, length: int) -> str:
        found = self.data[self.at:self.at + length]
        self.at += length + 1
        if self.at > len(self.data):
            raise ValueError("it ends too early")
        return found.decode("utf-8", "surrogateescape")

    def values(self, signature: str) -> List[Any]:
        """One value for each complete type of a signature."""
        found, at = [], 0
        while at < len(signature):
            end = _end(signature, at)
            found.append(self.value(signature[at:end]))
            at = end
        return found

    def value(self, kind: str) -> Any:
        """A value of one complete type: structs and arrays as lists, an array of pairs too."""
        first = kind[0]
        if first in "so":
            return self.text(self.number(4))
        if first == "g":
            return self.text(self.number(1))
        if first == "b":
            return bool(self.number(4))
        if first in "yqutdh":  # the bits of a double: nobody here asks for one
            return self.number({"y": 1, "q": 2, "u": 4, "h": 4}.get(first, 8))
        if first in "nix":
            return self.number({"n": 2, "i": 4}.get(first, 8), signed=True)
        if first == "v":
            inner = self.value("g")
            if _end(inner, 0) != len(inner):
                raise ValueError("a variant is of one type")
            return self.value(inner)
        if first in "({":
            self.align(8)
            return self.values(kind[1:-1])
        if first != "a":
            raise ValueError(f"no such type: {kind}")
        length = self.number(4)
        self.align(_ALIGNED.get(kind[1], 4))
        end, found = self.at + length, []
        while self.at < end:
            found.append(self.value(kind[1:]))
        return found


def _end(signature: str, at: int) -> int:
    """Where the complete type that begins at `at` ends."""
    while signature[at] == "a":
        at += 1
    if signature[at] not in "({":
        return at + 1
    depth = 0
    while True:
        depth += (signature[at] in "({") - (signature[at] in ")}")
        at += 1
        if depth == 0:
            return at


def _size(heard: bytes) -> int:
    """How many bytes the message has that begins here; as many as tell it where that is not known yet."""
    if len(heard) < 16:
        return 16
    order = _ORDERS.get(heard[0])
    if order is None:
        raise Unexpected("no message")
    fields, body = (int.from_bytes(heard[at:at + 4], order) for at in (12, 4))
    size = 16 + fields + -fields % 8 + body
    if size > _LARGEST:
        raise Unexpected("too large")
    return size


def _padded(data: bytes, size: int) -> bytes:
    return data + b"\0" * (-len(data) % size)


def _number(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return _number(len(data)) + data + b"\0"

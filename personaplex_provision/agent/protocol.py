"""The conversation between the controller and the agent: length-prefixed frames over any byte stream.

A frame is one byte of type, four bytes of big-endian payload length, and the payload:

    J  message: a JSON object            Z  message: the same, zlib-compressed
    E  events, a line each (`events.py`)       F  the same, zlib-compressed
    B  a piece of a blob: 32 bytes of digest, one byte "last piece?", at most 256 KiB of data
    C  the same, its data zlib-compressed
    S  secrets: a JSON object of name -> value, in a frame of its own so that no log of messages can hold it

Both ends use this file. Nothing is ever unpickled, and what the other end may make us hold in memory is bounded.
"""

from __future__ import annotations

import collections
import json
import os
import select
import struct
import threading
import time
import zlib
from typing import Any, BinaryIO, Deque, Iterator, List, Optional, Sequence, Union

from personaplex_provision.agent import events
from personaplex_provision.agent.digests import sha256
from personaplex_provision.agent.row import NamedTuple

HEAD = struct.Struct(">cI")
PIECE = 256 * 1024
"Bytes of a blob in one frame."
LIMIT = 64 * 1024 * 1024
"Largest frame, and the largest message after decompression, in bytes."
_INCOMPRESSIBLE = 15
"Pieces of a blob that are sent as they are after one that did not become smaller."
WORTH_COMPRESSING = 4096
"Messages of at most this many bytes travel as they are."
_TEXT = json.JSONEncoder(separators=(",", ":")).encode


class ProtocolError(Exception):
    """What arrived is not a conversation of ours, or breaks a limit."""


class BlobChunk(NamedTuple):
    """A piece of the content whose sha256 is `sha256` (hex); pieces arrive in order, `final` marks the last."""

    sha256: str
    data: bytes
    final: bool


class Secrets(NamedTuple):
    """Secret values by name. They never appear when this is printed."""

    values: dict[str, Any]

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self.values))})"


class Ready(str):
    """The JSON text of a value; it stands in a message as it is."""


Received = Union[dict, BlobChunk, Secrets]  # type: ignore[type-arg]


class Pipes:
    """Two file descriptors as a stream: `read` gives at least one byte or b"" at the end, `write` all or OSError."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd

    def read(self, size: int, timeout: Optional[float] = None) -> bytes:
        if timeout is not None and not readable(self.read_fd, timeout):
            raise TimeoutError("nothing arrived in time")
        return os.read(self.read_fd, size)

    def write(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.write_fd, view):]

    def close(self) -> None:
        for number in {self.read_fd, self.write_fd}:
            os.close(number)

    def fileno(self) -> int:
        return self.read_fd


class Channel:
    """Sends and receives frames over `stream`, an object with `read(size, timeout)`, `write(bytes)` and `close()`.

    Sending is safe from any thread, receiving is for one thread at a time.
    """

    def __init__(self, stream: Any, pending: bytes = b"") -> None:
        self.stream = stream
        self.packing = False
        "Whether the other end takes events in one frame: those of other versions may not."
        self.heard = events.Heard()
        "What events said before; one for all channels of a command."
        self._pending = bytearray(pending)
        self._received: Deque[Received] = collections.deque()
        "What came and no `receive` has returned."
        self._sending = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Sends one message. Raises OSError when the other end is gone."""
        self._write(encode(message))

    def send_many(self, messages: Sequence[dict[str, Any]]) -> None:
        """Sends messages in order as a single write, which is a single packet when they are small."""
        frames, at = [], 0
        while at < len(messages):
            end = at
            while self.packing and end < len(messages) and events.alike(messages[end]):
                end += 1
            if end > at + 1:
                frames.append(_packed(b"E", b"F", events.pack(messages[at:end])))
            else:
                frames.append(encode(messages[at]))
            at = max(end, at + 1)
        if frames:
            self._write(b"".join(frames))

    def send_blob(self, sha256: str, content: Union[bytes, BinaryIO]) -> None:
        """Sends content piece by piece; messages of other threads may travel between the pieces."""
        digest = bytes.fromhex(sha256)
        wait = 0  # pieces until compressing is tried again, after one that did not become smaller
        for data, final in _pieces(content):
            kind, packed = b"B", data
            if wait:
                wait -= 1
            elif len(data) > WORTH_COMPRESSING:
                packed = zlib.compress(data, 1)
                kind = b"C"
                if len(packed) > len(data) * 9 // 10:
                    kind, packed, wait = b"B", data, _INCOMPRESSIBLE
            self._write(_frame(kind, digest, b"\1" if final else b"\0", packed))

    def send_secrets(self, values: dict[str, Any]) -> None:
        """Sends secret values by name."""
        self._write(_frame(b"S", _json(values)))

    def receive(self, timeout: Optional[float] = None) -> Received:
        """The next message, piece of a blob, or secrets.

        Raises EOFError when the other end closed, TimeoutError when no whole frame came within `timeout` seconds
        (what came so far is kept), ProtocolError when it is not a frame.
        """
        if not self._received:
            self._received.extend(self._frame(timeout))
        return self._received.popleft()

    def receive_all(self, timeout: Optional[float] = None) -> List[Received]:
        """All that has come, in order, at least one; waits and raises as `receive` does."""
        found = list(self._received) or self._frame(timeout)
        self._received.clear()
        while len(self._pending) >= HEAD.size + self._size():
            found += self._frame(None)
        return found

    def waiting(self) -> bool:
        """Whether bytes have been read from the stream that no `receive` has returned yet.

        Ask before waiting on `fileno()`: the descriptor knows nothing of them.
        """
        return bool(self._received or self._pending)

    def taken(self) -> bytes:
        """Takes what has been read from the stream and no `receive` has returned."""
        found = bytes(self._pending)
        self._pending.clear()
        return found

    def fileno(self) -> int:
        """The descriptor that becomes readable when something arrives, where the stream has one."""
        number: int = self.stream.fileno()
        return number

    def close(self) -> None:
        """Closes the stream."""
        self.stream.close()

    def _write(self, data: bytes) -> None:
        with self._sending:
            self.stream.write(data)

    def _frame(self, timeout: Optional[float]) -> List[Received]:
        """What the next frame holds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        self._fill(HEAD.size, deadline)
        size = HEAD.size + self._size()
        self._fill(size, deadline)
        with memoryview(self._pending) as view:
            kind, payload = bytes(view[:1]), bytes(view[HEAD.size:size])
        del self._pending[:size]
        if kind not in b"EF":
            return [decode(kind, payload)]
        try:
            return list(events.unpack(payload if kind == b"E" else _inflate(payload), self.heard))
        except (ValueError, TypeError, zlib.error, RecursionError) as error:
            raise ProtocolError(f"events cannot be decoded ({type(error).__name__})") from None

    def _size(self) -> int:
        """Bytes of the payload of the frame that begins what has been read; 0 where not even that can be told."""
        if len(self._pending) < HEAD.size:
            return 0
        kind, size = HEAD.unpack_from(self._pending)
        if kind not in b"JZEFBCS" or size > LIMIT:
            raise ProtocolError(f"not a frame: type {kind!r}, {size} bytes")
        return int(size)

    def _fill(self, size: int, deadline: Optional[float]) -> None:
        while len(self._pending) < size:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            data = self.stream.read(max(size - len(self._pending), 65536), left)
            if not data:
                raise EOFError("the other end closed the connection")
            self._pending += data


def readable(descriptor: int, timeout: float) -> bool:
    """Whether something (or the end) can be read within `timeout` seconds."""
    poll = select.poll()  # select() refuses descriptors from 1024 on
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def encode(message: dict[str, Any]) -> bytes:
    """The frame of a message, compressed where that helps."""
    ready = {key: value for key, value in message.items() if type(value) is Ready}
    data = _json({key: value for key, value in message.items() if key not in ready} if ready else message)
    if ready:
        data = b"%b,%b}" % (data[:-1], ",".join([f'"{key}":{text}' for key, text in ready.items()]).encode("ascii"))
    return _packed(b"J", b"Z", data)


def decode(kind: bytes, payload: bytes) -> Received:
    """What a frame holds. Raises ProtocolError."""
    if kind in (b"B", b"C"):
        if len(payload) < 33 or len(payload) > 33 + PIECE:
            raise ProtocolError(f"not a piece of a blob: {len(payload)} bytes")
        try:
            data = payload[33:] if kind == b"B" else _inflate(payload[33:], PIECE)
        except zlib.error:
            raise ProtocolError("a piece of a blob cannot be decompressed") from None
        return BlobChunk(payload[:32].hex(), data, payload[32] == 1)
    try:
        if kind == b"Z":
            payload = _inflate(payload)
        found = json.loads(payload.decode("utf-8"))  # which spares looking for other encodings
    except (ValueError, zlib.error, RecursionError) as error:
        # The text of a decoding error can quote what was being decoded, which may be a secret.
        raise ProtocolError(f"a message cannot be decoded ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise ProtocolError(f"a message must be an object, not {type(found).__name__}")
    return Secrets(found) if kind == b"S" else found


def typed(message: Received) -> Received:
    """The same message. Raises ProtocolError for one that does not say of what type it is."""
    if isinstance(message, dict) and not isinstance(message.get("type"), str):
        raise ProtocolError("a message without a type")
    return message


def digest_of(content: bytes) -> str:
    """The name of a blob: its sha256 in hex."""
    return sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return _TEXT(value).encode("ascii")


def _packed(plain: bytes, compressed: bytes, data: bytes) -> bytes:
    """A frame of the type `plain`, or `compressed` where that helps."""
    if len(data) > WORTH_COMPRESSING:
        packed = zlib.compress(data, 1)
        if len(packed) < len(data):
            return _frame(compressed, packed)
    return _frame(plain, data)


def _frame(kind: bytes, *parts: bytes) -> bytes:
    size = sum(map(len, parts))
    if size > LIMIT:
        raise ProtocolError(f"a message of {size} bytes is too large to send")
    return b"".join((HEAD.pack(kind, size), *parts))


def _inflate(payload: bytes, limit: int = LIMIT) -> bytes:
    engine = zlib.decompressobj()
    data = engine.decompress(payload, limit)
    if engine.unconsumed_tail or not engine.eof:
        raise ProtocolError("a compressed message is cut short or too large")
    return data


def _pieces(content: Union[bytes, BinaryIO]) -> Iterator[tuple[bytes, bool]]:
    """Pieces with the mark of the last; an empty content is one empty piece."""
    if isinstance(content, (bytes, bytearray)):
        for start in range(0, max(len(content), 1), PIECE):
            yield bytes(content[start:start + PIECE]), start + PIECE >= len(content)
        return
    piece = content.read(PIECE)
    while True:
        following = content.read(PIECE) if piece else b""
        yield piece, not following
        if not following:
            return
        piece = following

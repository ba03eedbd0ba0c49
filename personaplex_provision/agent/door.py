"""The door of a running run: a socket in its directory, through which later connections come to it."""

from __future__ import annotations

import _socket  # what the standard library wraps it in is not needed, and takes milliseconds to import
import contextlib
import os
import threading
from typing import Callable, Iterator, Optional

from personaplex_provision.agent.protocol import Channel, readable
from personaplex_provision.agent.store import Store

NAME = "door"


class SocketStream:
    """A connected socket as the stream of a channel."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock

    def read(self, size: int, timeout: Optional[float] = None) -> bytes:
        if timeout is not None and not readable(self._sock.fileno(), timeout):
            raise TimeoutError("nothing arrived in time")
        return self._sock.recv(size)

    def write(self, data: bytes) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(_socket.SHUT_RDWR)
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()


class Door:
    """Lets connections in, each into a thread of its own that `welcome` is called in."""

    def __init__(self, store: Store, run: str, welcome: Callable[[Channel], None]) -> None:
        self._folder = store.directory("runs", run)
        self._welcome = welcome
        self._sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        with _within(self._folder) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._sock.bind(path)
        self._sock.listen(8)
        threading.Thread(target=self._wait, name="door", daemon=True).start()

    def close(self) -> None:
        """Lets nobody in any more."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(_socket.SHUT_RDWR)
        self._sock.close()
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._folder, NAME))

    def _wait(self) -> None:
        while True:
            try:
                number, _ = self._sock._accept()  # type: ignore[attr-defined, unused-ignore]
            except OSError:
                return
            sock = _socket.socket(fileno=number)
            threading.Thread(target=self._welcome, args=(Channel(SocketStream(sock)),), daemon=True).start()


def knock(store: Store, run: str) -> Optional[SocketStream]:
    """A connection to a running run, or None when nobody opens."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        with _within(store.path("runs", run)) as path:
            sock.connect(path)
    except OSError:
        sock.close()
        return None
    return SocketStream(sock)


@contextlib.contextmanager
def _within(folder: str) -> Iterator[str]:
    """The socket's path by way of an open directory: a socket's address holds 107 bytes, a state directory may not."""
    directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{NAME}"
    finally:
        os.close(directory)

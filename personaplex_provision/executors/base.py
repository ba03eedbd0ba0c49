"""What every executor is: something that starts a command on a host and gives its byte stream.

Importing this costs nothing: each executor's library is imported when one is opened.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from personaplex_provision.errors import Diagnostic, UnreachableError
from personaplex_provision.executors.connection import Connection, Link, connection_of

__all__ = [
    "Connection", "Executor", "Link", "Stream", "Tail", "connection_of", "open_executor", "unreachable",
]

TAIL = 64 * 1024
"Bytes of standard error that are kept."


@runtime_checkable
class Stream(Protocol):
    """A running command: its standard input and output as bytes, its standard error on the side."""

    errors: Tail

    def read(self, size: int, timeout: float | None = None) -> bytes:
        """At least one and at most `size` bytes; b"" at the end. Raises TimeoutError after `timeout` seconds."""
        ...

    def write(self, data: bytes, timeout: float | None = None) -> None:
        """Writes all of `data`. Raises OSError when the other end is gone, or TimeoutError when it takes no more."""
        ...

    def close(self) -> None:
        """Ends standard input and lets the command finish on its own; safe to call twice."""
        ...

    def abort(self) -> None:
        """Ends a command that is not ours yet, by force where that is possible."""
        ...

    def stderr_tail(self) -> str:
        """The last of what the command printed on standard error."""
        ...

    @property
    def exit_status(self) -> int | None:
        """The exit status once the command has ended, else None."""
        ...


class Executor(Protocol):
    """A way to a host."""

    user: str
    "Who commands run as; empty when that is not known."

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> Stream:
        """Starts a command and sends `stdin_first` at once. Raises UnreachableError."""
        ...

    def close(self) -> None:
        """Gives the connection back."""
        ...


class Tail:
    """The end of what was printed on standard error, fed by one thread and watched by another."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._changed = threading.Condition()
        self._closed = False

    def feed(self, data: bytes) -> None:
        """Adds to the end; b"" says that nothing more will come."""
        with self._changed:
            self._data += data
            del self._data[:-TAIL]
            self._closed = self._closed or not data
            self._changed.notify_all()

    def wait_for(self, wanted: Sequence[bytes], timeout: float) -> bytes | None:
        """The first of `wanted` to be printed, taken out of the tail with all before it; None when the end
        came instead. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [(self._data.find(one), one) for one in wanted if one in self._data]
                if found:
                    at, what = min(found)
                    del self._data[:at + len(what)]
                    return what
                if self._closed:
                    return None
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise TimeoutError("nothing came on standard error in time")

    def settle(self, timeout: float) -> None:
        """Waits for the end of standard error, so that the text is complete."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout)

    def text(self) -> str:
        """What is kept, as text."""
        with self._changed:
            return bytes(self._data).decode("utf-8", "replace").strip()


def open_executor(connection: Connection) -> Executor:
    """The executor of the connection's type, connected. Raises UnreachableError."""
    kind = connection.kind
    if kind == "ssh":
        from personaplex_provision.executors.ssh import SshExecutor

        return SshExecutor(connection)
    if kind == "local":
        from personaplex_provision.executors.local import LocalExecutor

        return LocalExecutor(connection)
    if kind == "wsl":
        from personaplex_provision.executors.wsl import open_wsl

        return open_wsl(connection)
    from personaplex_provision.executors.container import ContainerExecutor

    return ContainerExecutor(connection)


def unreachable(summary: str, detail: str = "", hint: str = "") -> UnreachableError:
    """An UnreachableError of one diagnostic."""
    return UnreachableError(Diagnostic(summary, detail, hint=hint))

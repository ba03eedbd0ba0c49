"""This machine, and every other place that a command of this machine leads to."""

from __future__ import annotations

import contextlib
import getpass
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from personaplex_provision.agent.protocol import readable
from personaplex_provision.executors.base import Connection, Tail, unreachable

AHEAD = 4 * 1024 * 1024
"Bytes of output that are kept while input cannot be written."


class ProcessStream:
    """A child process, in a session of its own: Ctrl-C in the terminal reaches the controller, not the agent."""

    def __init__(self, argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.errors = Tail()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            bufsize=0, start_new_session=True, env=environment,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self._in = self.process.stdin.fileno()
        self._out = self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._ahead = bytearray()
        self._reading = threading.Lock()
        threading.Thread(target=self._read_errors, name="stderr", daemon=True).start()

    def read(self, size: int, timeout: float | None = None) -> bytes:
        with self._reading:
            if self._ahead:
                data = bytes(self._ahead[:size])
                del self._ahead[:size]
                return data
            if timeout is not None and not readable(self._out, timeout):
                raise TimeoutError("nothing arrived in time")
            return os.read(self._out, size)

    def write(self, data: bytes, timeout: float | None = None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._in, view):]
            except BlockingIOError:
                self._wait_for_room(deadline)

    def _wait_for_room(self, deadline: float | None) -> None:
        """Waits until more input is taken; a child that waits for its output to be read is helped along."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("the command does not read its input")
        poll = select.poll()
        poll.register(self._in, select.POLLOUT)
        mine = self._reading.acquire(blocking=False)  # else a reader is at work, and that is as good
        try:
            if mine and len(self._ahead) < AHEAD:
                poll.register(self._out, select.POLLIN)
            ready = poll.poll(100 if left is None else min(left * 1000, 100))
            if mine and any(number == self._out and events & select.POLLIN for number, events in ready):
                self._ahead += os.read(self._out, 65536)
        finally:
            if mine:
                self._reading.release()

    def close(self) -> None:
        # The agent leaves by itself when its input ends, but not in the middle of a step: it is waited for, not killed.
        self._hang_up(2.0)

    def abort(self) -> None:
        for end in (self.process.terminate, self.process.kill):
            self._hang_up(0.0)
            if self.process.poll() is not None:
                return
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1.0)

    def _hang_up(self, patience: float) -> None:
        assert self.process.stdin and self.process.stdout and self.process.stderr
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            threading.Thread(target=self.process.wait, name="reaper", daemon=True).start()

    def stderr_tail(self) -> str:
        return self.errors.text()

    def fileno(self) -> int:
        return self._out

    @property
    def exit_status(self) -> int | None:
        # The end of output is seen a moment before the end of the process.
        deadline = time.monotonic() + 0.5
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.process.returncode

    def _read_errors(self) -> None:
        assert self.process.stderr
        while True:
            data = os.read(self.process.stderr.fileno(), 65536)
            self.errors.feed(data)
            if not data:
                self.process.stderr.close()
                return


def start_process(
    argv: Sequence[str], connection: Connection, stdin_first: bytes = b"", environment: dict[str, str] | None = None
) -> ProcessStream:
    """Starts a command of this machine. Raises UnreachableError when it cannot be started."""
    where = connection.name
    try:
        stream = ProcessStream(argv, environment)
    except FileNotFoundError:
        hint = f"install {argv[0]}, or give its path"
        raise unreachable(f"{where}: there is no {argv[0]} on this machine", hint=hint) from None
    except OSError as error:
        raise unreachable(f"{where}: cannot start {argv[0]}: {error.strerror or error}") from None
    with contextlib.suppress(OSError):  # what it printed before it left says more than "broken pipe"
        stream.write(stdin_first, connection.timeout)
    return stream


class LocalExecutor:
    """Commands of this machine."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.user = "root" if os.geteuid() == 0 else getpass.getuser()
        if connection.python == "python3":
            # Ours is known to be there and new enough, and a compiled bundle fits it.
            connection.python = sys.executable or "python3"

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> ProcessStream:
        return start_process(argv, self.connection, stdin_first)

    def close(self) -> None:
        """Nothing is held."""

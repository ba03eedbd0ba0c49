"""This machine, and every other place that a command of this machine leads to."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from personaplex_provision.agent.protocol import readable
from personaplex_provision.executors.base import Connection, Tail, unreachable


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
        self._drain = threading.Thread(target=self._read_errors, name="stderr", daemon=True)
        self._drain.start()

    def read(self, size: int, timeout: float | None = None) -> bytes:
        if timeout is not None and not readable(self._out, timeout):
            raise TimeoutError("nothing arrived in time")
        return os.read(self._out, size)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._in, view):]

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout and self.process.stderr
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(2.0)  # the agent leaves by itself when its input ends
        except subprocess.TimeoutExpired:
            self.process.terminate()
            try:
                self.process.wait(2.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        # A runner that goes on without us may hold standard error open: its thread is left to it.
        self._drain.join(0.2)
        if not self._drain.is_alive():
            self.process.stderr.close()

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
            try:
                data = os.read(self.process.stderr.fileno(), 65536)
            except (OSError, ValueError):
                data = b""
            self.errors.feed(data)
            if not data:
                return


def start_process(argv: Sequence[str], where: str, environment: dict[str, str] | None = None) -> ProcessStream:
    """Starts a command of this machine. Raises UnreachableError that names `where` when it cannot be started."""
    try:
        return ProcessStream(argv, environment)
    except FileNotFoundError:
        hint = f"install {argv[0]}, or give its path"
        raise unreachable(f"{where}: there is no {argv[0]} on this machine", hint=hint) from None
    except OSError as error:
        raise unreachable(f"{where}: cannot start {argv[0]}: {error.strerror or error}") from None


class LocalExecutor:
    """Commands of this machine."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.user = "root" if os.geteuid() == 0 else getpass.getuser()
        if connection.python == "python3":
            # Ours is known to be there and new enough, and a compiled bundle fits it.
            connection.python = sys.executable or "python3"

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> ProcessStream:
        stream = start_process(argv, self.connection.name)
        if stdin_first:
            stream.write(stdin_first)
        return stream

    def close(self) -> None:
        """Nothing is held."""

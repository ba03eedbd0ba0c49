"""Hosts behind ssh, reached as the user's OpenSSH configuration says."""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections.abc import Callable, Sequence
from typing import Any

from personaplex_provision.executors.base import Connection, Tail, unreachable
from personaplex_provision.executors.sshconfig import settings_of
from personaplex_provision.executors.sshlibrary import paramiko_library
from personaplex_provision.executors.sshlink import WINDOW, Route

PACKET = 32768
"Largest packet that every server takes, in bytes."


class SshStream:
    """A command on the other side of an ssh connection."""

    def __init__(self, channel: Any) -> None:
        self.errors = Tail()
        self.channel = channel
        # Reads wait on this, so that the channel's own timeout is that of writes.
        self._arrived = threading.Event()
        channel.in_buffer.set_event(self._arrived)
        self._closing = False
        channel.in_stderr_buffer.set_event(_Alarm(self._hear_errors))

    def read(self, size: int, timeout: float | None = None) -> bytes:
        if not self._arrived.wait(timeout):
            raise TimeoutError("nothing arrived in time")
        data: bytes = self.channel.recv(size)
        return data

    def write(self, data: bytes, timeout: float | None = None) -> None:
        self.channel.settimeout(timeout)
        view = memoryview(data)
        while view:
            # Slices: paramiko copies all that is left of a buffer each time that it sends a packet of it.
            sent = self.channel.send(bytes(view[:PACKET]))
            if not sent:
                raise BrokenPipeError("the connection is closed")
            view = view[sent:]

    def close(self) -> None:
        self._closing = True
        with contextlib.suppress(OSError, EOFError):
            self.channel.close()

    def abort(self) -> None:
        self.close()

    def stderr_tail(self) -> str:
        return self.errors.text()

    @property
    def exit_status(self) -> int | None:
        if not self.channel.status_event.wait(0.5):
            return None
        status: int = self.channel.exit_status
        return None if status == -1 else status

    def _hear_errors(self) -> None:
        """Standard error has something, or has ended."""
        if self._closing:
            self.errors.feed(b"")
            return
        # Unread standard error would use up the window and stop everything.
        threading.Thread(target=self._read_errors, name="stderr", daemon=True).start()

    def _read_errors(self) -> None:
        while True:
            try:
                data = self.channel.recv_stderr(65536)
            except TimeoutError:  # that of a write, which is the channel's
                continue
            except OSError:
                data = b""
            self.errors.feed(data)
            if not data:
                return


class _Alarm:
    """Stands for the event by which a channel tells of data; calls once, so that a silent command costs no thread."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def set(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()

    def clear(self) -> None:
        pass


class SshExecutor:
    """A host reached by ssh, connected; `render` makes a command's text for the shell of the server."""

    def __init__(self, connection: Connection, render: Callable[[Sequence[str]], str] = shlex.join) -> None:
        self.connection = connection
        self.render = render
        self.settings = settings_of(connection.host, connection.user, connection.port, connection.common_args)
        self.user = self.settings.user
        self.route = Route(connection, self.settings)
        self.transport = self.route.connect()

    @property
    def alive(self) -> bool:
        """Whether the connection still stands."""
        return bool(self.transport.is_active())

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> SshStream:
        paramiko = paramiko_library()
        command = self.render(argv)
        try:
            channel = self.transport.open_session(window_size=WINDOW, timeout=self.connection.timeout)
            stream = SshStream(channel)
            if not stdin_first:
                channel.exec_command(command)
                return stream
            # Nothing is waited for between the command and its input: a round trip less.
            request = paramiko.Message()
            request.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
            request.add_int(channel.remote_chanid)
            request.add_string("exec")
            request.add_boolean(False)
            request.add_string(command)
            self.transport._send_user_message(request)
            with contextlib.suppress(OSError):  # what it printed before it left says more than "broken pipe"
                stream.write(stdin_first, self.connection.timeout)
            return stream
        except (paramiko.SSHException, EOFError, OSError) as error:
            what = str(error) or type(error).__name__
            raise unreachable(f"{self.connection.name}: the connection was lost", what) from None

    def close(self) -> None:
        self.route.close()

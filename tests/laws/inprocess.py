"""The agent in a thread or a forked child of the test: the same conversation over pipes, without starting a Python."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings

from personaplex_provision.agent.main import Agent
from personaplex_provision.agent.protocol import Channel, Pipes
from personaplex_provision.agent.session import Session


class LocalAgent:
    """An agent at the other end of two pipes; `mortal` ones live in a child process, which a fault may kill."""

    def __init__(self, mortal: bool) -> None:
        there_read, here_write = os.pipe()
        here_read, there_write = os.pipe()
        self._child = 0
        self._thread: threading.Thread | None = None
        if mortal:
            with warnings.catch_warnings():
                # The child only goes on with this one thread, and ends without returning to the test.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._child = os.fork()
            if self._child == 0:
                os.close(here_read)
                os.close(here_write)
                _serve(there_read, there_write)
                os._exit(0)
            os.close(there_read)
            os.close(there_write)
        else:
            self._thread = threading.Thread(target=_serve, args=(there_read, there_write), daemon=True)
            self._thread.start()
        self.channel = Channel(Pipes(here_read, here_write))

    def close(self) -> None:
        """Hangs up and waits for the agent's end."""
        self.channel.close()
        if self._child:
            os.waitpid(self._child, 0)
        if self._thread is not None:
            self._thread.join()


def _serve(read_fd: int, write_fd: int) -> None:
    channel = Channel(Pipes(read_fd, write_fd))
    with contextlib.suppress(BrokenPipeError):
        Agent(Session(channel)).serve()
    with contextlib.suppress(OSError):
        channel.close()

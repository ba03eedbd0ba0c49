"""Leaving the connection: a run goes on in a child process of a session of its own.

The process that sshd, sudo or a terminal started only waits for the child. Whatever ends it with the connection does
not reach the run.
"""

from __future__ import annotations

import os


def detach() -> None:
    """Returns in the child; this process ends when the child does. Called while no other thread is at work."""
    child = os.fork()
    if child == 0:
        os.setsid()
        return
    _, status = os.waitpid(child, 0)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)

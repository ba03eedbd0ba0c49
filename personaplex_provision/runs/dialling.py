"""Connections begun ahead: hosts are logged in to while the rest of a command is still being read and checked.

Nothing is started on a host before the playbook has been found good; until then it has seen a log-in and no more.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from personaplex_provision.agent.record import replace
from personaplex_provision.errors import ProvisionError
from personaplex_provision.executors.base import Executor, open_executor
from personaplex_provision.executors.connection import Connection

if TYPE_CHECKING:
    from personaplex_provision.executors.ssh import SshExecutor

AHEAD = 32
"Hosts that are dialled ahead; of more the others are reached when their turn comes."


class Dialling:
    """The connections that were begun and that nobody has taken yet."""

    def __init__(self, connections: Sequence[Connection] = ()) -> None:
        self._calls = {one.name: _Call(one) for one in connections[:AHEAD] if one.kind == "ssh"}
        if self._calls:
            # Here: threads that import it while others compute would wait for each other.
            from personaplex_provision.executors import bundle, ssh
            from personaplex_provision.executors.sshlibrary import paramiko_library

            del ssh
            paramiko_library()
            bundle.version()
        for call in self._calls.values():
            call.thread.start()

    def executor(self, connection: Connection) -> Executor:
        """The executor of a connection, connected. Raises UnreachableError."""
        call = self._calls.pop(connection.name, None)
        if call is None or call.connection != connection:
            return open_executor(connection)
        return call.answer() or open_executor(connection)

    def close(self) -> None:
        """Hangs up where nobody took the connection."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.given_up = True
            if call.executor is not None:
                with contextlib.suppress(OSError, ProvisionError):
                    call.executor.close()


class _Call:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.executor: SshExecutor | None = None
        self.given_up = False
        self._asked = False
        self.thread = threading.Thread(target=self._dial, name=f"dial {connection.name}", daemon=True)
        self._error: BaseException | None = None

    def answer(self) -> Executor | None:
        """The executor; None when a person has to be asked for a passphrase, or the connection was lost meanwhile."""
        self.thread.join()
        if self._error is not None and not self._asked:
            raise self._error
        return self.executor if self.executor is not None and self.executor.alive else None

    def _ask(self, path: str) -> None:
        del path
        self._asked = True

    def _dial(self) -> None:
        try:
            from personaplex_provision.executors.ssh import SshExecutor

            self.executor = SshExecutor(replace(self.connection, ask_passphrase=self._ask))
        except BaseException as error:
            self._error = error
            return
        if self.given_up:
            self.executor.close()

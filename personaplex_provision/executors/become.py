"""Becoming another user: the words around a command, and the password's way to sudo.

sudo asks with a prompt that only we know; the password is written when that prompt was seen and not otherwise, so
where sudo needs none it is never sent, and never taken for a part of what follows.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Sequence

from personaplex_provision.executors.base import Connection, Executor, Stream, unreachable

APT = (
    "export DEBIAN_FRONTEND=noninteractive; command -v apt-get >/dev/null || "
    "{ echo 'this host has no apt-get: install python3 by hand' >&2; exit 1; }; "
    "{ apt-get update -q && apt-get install -y -q --no-install-recommends python3; } </dev/null"
)
INSTALLING = 600.0
"Seconds that installing python3 may take."


class Privilege:
    """What it takes for `login_user` to become who the connection asks for.

    `ready` is 0 when a command can be sent its input at once; else the number that the command prints on standard
    error once sudo has let it through.
    """

    def __init__(self, connection: Connection, login_user: str) -> None:
        self.connection = connection
        self.target = connection.become_user if connection.become else login_user
        self.login_user = login_user
        self.sudo = connection.become and login_user not in (self.target, "root")
        self.password = connection.become_password if self.sudo else None
        self.prompt = f"[provision {secrets.token_hex(8)}] "
        self.ready = 10**15 + secrets.randbelow(9 * 10**15) if self.password else 0

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """The command, run as the user asked for."""
        if self.sudo:
            how = ["-S", "-p", self.prompt] if self.password else ["-n"]
            who = [] if self.target == "root" else ["-u", self.target]
            return ["sudo", "-H", *how, *who, "--", *argv]
        if self.login_user == "root" and self.target != "root":
            # su is on every system, sets HOME, and asks root for nothing.
            return ["su", "-s", "/bin/sh", self.target, "-c", f"exec {shlex.join(argv)}"]
        return list(argv)

    def authenticate(self, stream: Stream, timeout: float) -> None:
        """Answers sudo's prompt if it comes. Raises UnreachableError when the password is wrong or nothing comes.

        When the command ends instead, this returns: what it printed is for others to explain.
        """
        prompt, ready = self.prompt.encode(), str(self.ready).encode()
        who = f"{self.connection.name}: sudo of {self.login_user or 'this user'}"
        answered = False
        while True:
            try:
                seen = stream.errors.wait_for((prompt, ready), timeout)
            except TimeoutError:
                raise unreachable(
                    f"{who} neither asked for the password nor let the command through", stream.stderr_tail(),
                    "sudo may be set to ask in its own words (passprompt), or waits for a second factor",
                ) from None
            if seen != prompt:
                return
            if answered:
                raise unreachable(f"{who} refused the password", hint="check -K or ansible_become_password")
            assert self.password is not None
            stream.write(self.password.reveal().encode() + b"\n")
            answered = True


def install_python(executor: Executor, connection: Connection) -> None:
    """Installs python3 on a Debian or Ubuntu host by a plain shell, as root. Raises UnreachableError."""
    as_root = _rootly(connection)
    privilege = Privilege(as_root, executor.user)
    announce = f"printf %s {privilege.ready} >&2; " if privilege.ready else ""
    stream = executor.open(privilege.wrap(["sh", "-c", announce + APT]))
    try:
        if privilege.ready:
            privilege.authenticate(stream, connection.timeout)
        printed = _read_all(stream, time.monotonic() + INSTALLING)
        stream.errors.settle(1.0)
        if stream.exit_status != 0:
            text = "\n".join((printed + "\n" + stream.stderr_tail()).strip().splitlines()[-15:])
            raise unreachable(f"{connection.name}: python3 could not be installed", text,
                              "install it by hand: sudo apt-get install -y python3")
    finally:
        stream.abort()


def _rootly(connection: Connection) -> Connection:
    from personaplex_provision.agent.record import replace

    return replace(connection, become=True, become_user="root")


def _read_all(stream: Stream, deadline: float) -> str:
    found = bytearray()
    while True:
        try:
            data = stream.read(65536, max(deadline - time.monotonic(), 0.0))
        except TimeoutError:
            tail = bytes(found[-2000:]).decode("utf-8", "replace")
            raise unreachable("installing python3 took too long", tail) from None
        if not data:
            return bytes(found[-8000:]).decode("utf-8", "replace")
        found += data

"""Getting to an ssh server: directly, by a command, or through jump hosts; patiently where patience can help."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import time
from typing import Any

from personaplex_provision.agent.record import replace
from personaplex_provision.errors import ProvisionError, UnreachableError
from personaplex_provision.executors.base import Connection, unreachable
from personaplex_provision.executors.sshauth import log_in, shake_hands
from personaplex_provision.executors.sshconfig import SshSettings, settings_of
from personaplex_provision.executors.sshlibrary import paramiko_library, transport_class

WINDOW = 8 * 1024 * 1024
"Bytes a host may send before we have read any."
HOPS = 8
"How many jump hosts may follow one another."
REFUSED_PATIENCE = 3.0
"Seconds for which a refused connection is tried again: a server that restarts is away for a moment."
DROPPED_PATIENCE = 30.0
"Seconds for which a connection that is dropped before the log-in is tried again: sshd does so when it is busy."

KEEPALIVE = 15
"Seconds of silence after which a host is asked whether it is there, if the configuration says nothing."
LOOK = 5.0
"Seconds after which a connection's thread looks around at the latest."


class UnroutedError(Exception):
    """The network knows no way to the host."""


class Route:
    """The transports and processes between here and one host."""

    def __init__(self, connection: Connection, settings: SshSettings) -> None:
        self.connection = connection
        self.settings = settings
        self.transports: list[Any] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def connect(self) -> Any:
        """An authenticated transport to the host. Raises UnreachableError."""
        began = time.monotonic()
        try:
            try:
                return self._attempt()
            except Exception as error:
                if _patience(error, self.connection.timeout) <= 0:
                    raise
            return self._again(began)
        except ProvisionError:
            raise
        except Exception as error:
            raise _explained(error, self.connection, self.settings) from error

    def _again(self, began: float) -> Any:
        """Further attempts, for as long as patience can help."""
        from tenacity import RetryCallState, Retrying, wait_exponential, wait_random  # few runs need it

        def give_up(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            return time.monotonic() - began > _patience(error, self.connection.timeout)

        def worth_it(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            return error is not None and _patience(error, self.connection.timeout) > 0

        retrying = Retrying(
            stop=give_up, retry=worth_it, wait=wait_exponential(multiplier=0.2, max=5.0) + wait_random(0.0, 0.5),
            reraise=True,
        )
        time.sleep(0.2)
        return retrying(self._attempt)

    def close(self) -> None:
        """Ends everything, the host's own transport first."""
        for transport in reversed(self.transports):
            # Wakes the transport's thread, which else would notice when it looks around next.
            with contextlib.suppress(OSError, EOFError):
                transport.sock.shutdown(socket.SHUT_RDWR)
            transport.close()
        for process in self.processes:
            process.terminate()
            process.wait()
        self.transports.clear()
        self.processes.clear()

    def _attempt(self) -> Any:
        try:
            return self._reach_host(self.settings, self.connection, 0)
        except BaseException:
            self.close()
            raise

    def _reach_host(self, settings: SshSettings, connection: Connection, hops: int) -> Any:
        """Through the jump hosts, if any, to the host of `settings`."""
        if hops > HOPS:
            raise unreachable(f"{connection.name}: its jump hosts go round in circles")
        via = None
        for jump in settings.jumps:
            user, host, port = split_jump(jump)
            step = settings_of(host, user, port, _for_jumps(connection.common_args))
            hop = replace(connection, name=f"{self.connection.name}, jump host {host}", private_key="", password=None)
            if via is None:
                via = self._reach_host(step, hop, hops + 1)
            else:  # reached through the one before it, whatever the configuration says of it alone
                via = self._open(step, hop, via)
        return self._open(settings, connection, via)

    def _open(self, settings: SshSettings, connection: Connection, via: Any) -> Any:
        timeout = float(settings.number("connecttimeout", 0) or connection.timeout)
        sock = self._socket(settings, via, timeout)
        try:
            transport = transport_class()(sock, default_window_size=WINDOW)
        except BaseException:
            sock.close()
            raise
        self.transports.append(transport)
        transport.banner_timeout = transport.handshake_timeout = timeout
        transport.auth_timeout = max(timeout, 30.0)  # a server may ask a slow directory about us
        trusted = shake_hands(transport, settings, connection, timeout)
        log_in(transport, settings, connection, trusted)
        interval = settings.number("serveraliveinterval", 0) or KEEPALIVE
        transport.set_keepalive(interval)
        if via is None:  # paramiko would look ten times a second, on every connection; `close` wakes it
            sock.settimeout(min(LOOK, interval))
        return transport

    def _socket(self, settings: SshSettings, via: Any, timeout: float) -> Any:
        """A connected socket, or what serves as one."""
        address = (settings.hostname, settings.port)
        if via is not None:
            return via.open_channel("direct-tcpip", address, ("127.0.0.1", 0), window_size=WINDOW, timeout=timeout)
        if settings.proxy_command:
            ours, theirs = socket.socketpair()
            with theirs:
                self.processes.append(subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {settings.proxy_command}"],
                    stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, start_new_session=True,
                ))
            return ours
        try:
            sock = socket.create_connection(_plain(settings.hostname, settings.port), timeout=timeout)
        except OSError as error:
            if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                raise UnroutedError(str(error)) from None
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return sock


def _plain(name: str, port: int) -> Any:
    """An address as the resolver wants it; given text, Python loads its tables of international names first."""
    return (name.encode() if name.isascii() else name), port


def split_jump(text: str) -> tuple[str, str, int | None]:
    """User, host and port of `[ssh://][user@]host[:port]`, with `[…]` around an IPv6 address."""
    text = text.removeprefix("ssh://").rstrip("/")
    user, _, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = rest, ""
    return user, host.strip("[]"), int(port) if port else None


def _for_jumps(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """ssh gives only -F, and what it implies, on to the ssh that it starts for a jump host."""
    found: list[str] = []
    for at, word in enumerate(arguments):
        if word == "-F" and at + 1 < len(arguments):
            found = ["-F", arguments[at + 1]]
        elif word.startswith("-F"):
            found = [word]
    return tuple(found)


def _patience(error: BaseException | None, timeout: float) -> float:
    """For how many seconds after the first attempt this failure is tried again."""
    paramiko = paramiko_library()
    final = (ProvisionError, paramiko.AuthenticationException, paramiko.IncompatiblePeer, paramiko.BadHostKeyException,
             paramiko.ChannelException, socket.gaierror)
    if error is None or isinstance(error, final):
        return 0.0
    if isinstance(error, (ConnectionRefusedError, TimeoutError)):
        return min(REFUSED_PATIENCE, timeout) if isinstance(error, ConnectionRefusedError) else timeout / 2
    if isinstance(error, UnroutedError):
        return min(REFUSED_PATIENCE, timeout)
    return DROPPED_PATIENCE if isinstance(error, (paramiko.SSHException, EOFError, OSError)) else 0.0


def _explained(error: Exception, connection: Connection, settings: SshSettings) -> UnreachableError:
    """A failure to connect in words a person can act on."""
    paramiko = paramiko_library()
    at, where = connection.name, f"{settings.hostname} port {settings.port}"
    cases: list[tuple[Any, str, str]] = [
        (socket.gaierror, f"the name {settings.hostname} is not known",
         "check ansible_host, or HostName in ~/.ssh/config"),
        (ConnectionRefusedError, f"{where} refuses connections", "check that sshd runs there, and ansible_port"),
        (TimeoutError, f"{where} does not answer",
         "check the address, the network and the host's firewall; --timeout gives it more time"),
        (UnroutedError, f"there is no way to {settings.hostname}",
         "check the network of this machine, and a VPN if it needs one"),
        (paramiko.IncompatiblePeer, f"{where} has no way of encrypting in common with us",
         "its ssh server is too old, or restricted"),
        (paramiko.ChannelException, f"a jump host cannot reach {where}", "check ProxyJump and the address behind it"),
        ((paramiko.SSHException, EOFError, OSError), f"{where} drops the connection before the log-in",
         "the server may be busy (MaxStartups), block us (fail2ban), or not be ssh"),
    ]
    for kinds, summary, hint in cases:
        if isinstance(error, kinds):
            return unreachable(f"{at}: {summary}", str(error), hint)
    raise error



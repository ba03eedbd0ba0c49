"""How the agent starts on a host that has nothing but python3: it is read from standard input into memory.

    controller                                    target
    argv: python3 -ISB -c '…'           ──▶       reads STAGE, byte by byte, and runs it
    STAGE, header, bundle, greeting     ──▶       same Python: starts the agent
                                        ◀──       "want": another Python than was thought; the right bundle follows
                                        ◀──       "ready": the conversation begins

The argument is the same on every run and holds no character that a POSIX shell, cmd.exe or PowerShell changes
inside double quotes. Everything is sent at once, so a start costs no round trip beyond that of the command itself.
A host that has been provisioned keeps the engine in its state directory; then its path and digest are sent in place of
the bundle, which is wanted only if the file is not there or not that one.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from typing import Any

from personaplex_provision.agent.protocol import Channel, encode
from personaplex_provision.agent.row import NamedTuple
from personaplex_provision.executors import bundle, remembered
from personaplex_provision.executors.base import Connection, Executor, Stream, open_executor, unreachable
from personaplex_provision.executors.become import Privilege, install_python
from personaplex_provision.executors.failures import (
    PythonMissingError,
    no_answer,
    noisy,
    stopped_early,
    too_old,
)

__all__ = ["Agent", "Python", "argv", "install_python", "open_channel", "start_agent"]

# Runs on any Python 3, so that one too old can say so. 71 and 72 are exit statuses nobody else uses here.
_STAGE = b"""\
import sys,os,marshal,zlib
from _frozen_importlib_external import MAGIC_NUMBER as m
def r(n):
 b=b''
 while len(b)<n:
  c=os.read(0,n-len(b))
  if not c:os._exit(71)
  b+=c
 return b
def w(s):return('\\n'+n[::-1]+' '+s+' %d.%d.%d '%sys.version_info[:3]+t+' %d\\n'%os.getuid()).encode()
n,a,l,o=r(128).decode().split()
t=sys.implementation.cache_tag+m.hex()
if sys.version_info<(3,9):
 os.write(1,w('old'));os._exit(72)
b=r(int(l))
z=zlib.decompress
if a=='='+t:
 a=''
 try:
  import hashlib
  h,f=b.decode().split(' ',1)
  b=open(f,'rb').read()
  if hashlib.sha256(b).hexdigest()==h:a=t;z=bytes
 except Exception:pass
if a not in(t,'source'):
 r(int(o));os.write(1,w('want'));b=r(int(r(16)))
d=marshal.loads(z(b))
p,f,c=d['personaplex_provision.agent.start']
g={'__name__':'start'}
exec(marshal.loads(c)if f else c,g)
g['begin'](d,w('ready'))
"""
SIZE = 896
STAGE = _STAGE.ljust(SIZE - 1) + b"\n"
_SIGN = re.compile(rb"(?<=\n)([0-9a-f]{32}) (old|want|ready) (\S+) (\S+) (\d+)\n")
NOISE = 1024 * 1024
"Bytes that a login shell may print before the marker."


class Python(NamedTuple):
    """What the marker says about the other end: version `3.11.2`, tag of its compiled code, user id."""

    version: str
    tag: str
    uid: int


class Agent(NamedTuple):
    """A started agent: its channel, the executor that carries it, and its Python."""

    channel: Channel
    executor: Executor
    python: Python
    seat: str
    "By what name the host is remembered."
    kept: bool
    "Whether the engine was on the host."

    def keeps(self, path: str, sha256: str) -> None:
        """Notes that the host keeps the engine from now on."""
        kept = remembered.Kept(path, sha256, self.python.tag, bundle.version())
        remembered.remember(self.seat, remembered.Known(self.python.tag, kept))

    def close(self) -> None:
        """Hangs up and gives the connection back."""
        try:
            self.channel.close()
        finally:
            self.executor.close()


def argv(python: str = "python3", ready: int = 0) -> list[str]:
    """The command that becomes an agent; it first prints the number `ready`, if not 0, on standard error.

    Isolated from the user's environment and packages (-I), without site (-S: milliseconds, and hooks that print),
    writing no byte code (-B), file names in UTF-8 whatever the locale.
    """
    # One byte at a time: a longer read could take some of what follows, or be cut short.
    code = f"exec(bytes(os.read(0,1)[0] for i in range({SIZE})))"
    announce = f"os.write(2,str({ready}).encode());" if ready else ""
    return [python, "-ISB", "-Xutf8", "-c", f"import os;{announce}{code}"]


def open_channel(
    stream: Stream, timeout: float, greeting: Iterable[dict[str, Any]] = (), where: str = "the host"
) -> Channel:
    """Starts the agent on a stream whose command is `argv()`. Raises UnreachableError that names `where`."""
    start = Start(where, greeting)
    deadline = time.monotonic() + timeout
    with contextlib.suppress(OSError):  # what the other end printed before it left says more than "broken pipe"
        stream.write(start.payload, timeout)
    return start.finish(stream, deadline - time.monotonic())[0]


def start_agent(
    connection: Connection, greeting: Iterable[dict[str, Any]] = (), executor: Executor | None = None,
    kinds: Iterable[str] = (),
) -> Agent:
    """Connects, gains the privileges asked for, and starts an agent; `greeting` is sent along, for no round trip.

    `kinds` are those that it will be asked for, as far as that is known; they start faster. With
    `connection.install_python` a missing python3 is installed first. Raises UnreachableError.
    """
    executor = executor or open_executor(connection)
    start = Start(connection.name, greeting, kinds, seat_of(connection))
    try:
        try:
            channel, python = _start(executor, connection, start)
        except PythonMissingError:
            if not connection.install_python:
                raise
            install_python(executor, connection)
            try:
                channel, python = _start(executor, connection, start)
            except PythonMissingError:
                raise unreachable(f"{connection.name}: python3 was installed, and still none is found there", "",
                                  "look for it on the host, and set ansible_python_interpreter") from None
    except BaseException:
        executor.close()
        raise
    return Agent(channel, executor, python, start.seat, start.kept)


def seat_of(connection: Connection) -> str:
    """What of a connection decides on which Python is met, and which state directory."""
    become = f"{connection.become_method} {connection.become_user}" if connection.become else ""
    where = (connection.kind, connection.host, connection.port, connection.user, connection.wsl_distribution)
    return "\0".join(map(str, (connection.name, *where, become, connection.python)))


def _start(executor: Executor, connection: Connection, start: Start) -> tuple[Channel, Python]:
    privilege = Privilege(connection, executor.user)
    command = privilege.wrap(argv(connection.python, privilege.ready))
    stream = executor.open(command, b"" if privilege.ready else start.payload)
    try:
        if privilege.ready:
            privilege.authenticate(stream, connection.timeout)
            with contextlib.suppress(OSError):
                stream.write(start.payload, connection.timeout)
        return start.finish(stream, connection.timeout)
    except BaseException:
        stream.abort()
        raise


class Start:
    """One start of an agent: what is sent, and what must come back."""

    def __init__(
        self, where: str, greeting: Iterable[dict[str, Any]] = (), kinds: Iterable[str] = (), seat: str = "",
    ) -> None:
        self.where = where
        self.seat = seat
        "By what name the host's Python and engine are remembered; empty for not at all."
        self.kinds = frozenset(kinds)
        self.nonce = os.urandom(16).hex()
        self.greeting = b"".join([encode(one) for one in greeting])
        known = remembered.recall(seat) if seat else remembered.Known()
        kept = known.kept if known.kept and known.kept.version == bundle.version() else None
        if kept is not None:
            self.form, engine = f"={kept.tag}", f"{kept.sha256} {kept.path}".encode()
        else:
            self.form = bundle.tag() if known.python in ("", bundle.tag()) else "source"
            engine = bundle.bundle(self.form != "source", self.kinds)
        self.kept = kept is not None
        "Whether the host is thought to have this engine."
        header = f"{self.nonce} {self.form} {len(engine)} {len(self.greeting)}".ljust(128).encode()
        self.payload = b"".join((STAGE, header, engine, self.greeting))

    def finish(self, stream: Stream, timeout: float) -> tuple[Channel, Python]:
        """Waits for the marker, over whatever a login shell prints. Raises UnreachableError."""
        deadline = time.monotonic() + timeout
        # Reversed: a shell that echoes its input cannot be taken for an agent.
        sign = self.nonce[::-1].encode()
        seen = bytearray(b"\n")
        while True:
            found = next((one for one in _SIGN.finditer(seen) if one[1] == sign), None)
            if found is None:
                self._more(stream, seen, deadline)
                continue
            word, version, tag, uid = (part.decode() for part in found.groups()[1:])
            del seen[:found.end() - 1]
            if word == "old":
                raise too_old(self.where, version)
            if word == "ready":
                return Channel(stream, bytes(seen[1:])), Python(version, tag, int(uid))
            self.kept = False
            if self.seat:
                remembered.remember(self.seat, remembered.Known(tag))
            engine = bundle.bundle(tag == bundle.tag(), self.kinds)
            with contextlib.suppress(OSError):
                stream.write(f"{len(engine)}".ljust(16).encode() + engine + self.greeting, timeout)
            # Anew: it has answered, and if the engine had to be compiled first, that was no delay of the host's.
            deadline = time.monotonic() + timeout

    def _more(self, stream: Stream, seen: bytearray, deadline: float) -> None:
        try:
            data = stream.read(65536, max(deadline - time.monotonic(), 0.0))
        except TimeoutError:
            raise no_answer(self.where, _text(seen), stream.stderr_tail()) from None
        except OSError as error:
            raise stopped_early(self.where, stream, bytes(seen[1:]), str(error)) from None
        if not data:
            raise stopped_early(self.where, stream, bytes(seen[1:]))
        seen += data
        if len(seen) > NOISE:
            raise noisy(self.where, _text(seen))


def _text(data: bytearray) -> str:
    return bytes(data[-4096:]).decode("utf-8", "replace").strip()

"""Private keys: files, and the ssh agent. What a file's public half is can be read without its passphrase."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from personaplex_provision.agent.record import dataclass
from personaplex_provision.executors.sshconfig import SshSettings

USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")
"Files in ~/.ssh that are tried when nothing names one."
_MAGIC = b"openssh-key-v1\0"


class KeyUnusableError(Exception):
    """A key file cannot be used; its text says why."""


@dataclass(frozen=True)
class KeyFile:
    """A private key file: its type, whether a passphrase closes it, and its public half where that can be read."""

    path: str
    kind: str
    encrypted: bool
    public: bytes

    @classmethod
    def read(cls, path: str) -> KeyFile:
        """Looks at a file; once for all hosts, until it is written to. Raises KeyUnusableError."""
        return _looked_at(path, _state(path), _state(f"{path}.pub"))

    @classmethod
    def _read(cls, path: str) -> KeyFile:
        try:
            text = Path(path).read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise KeyUnusableError((error.strerror or str(error)).lower()) from None
        lines = [line.strip() for line in text.strip().splitlines()]
        head = lines[0] if lines else ""
        if head == "-----BEGIN OPENSSH PRIVATE KEY-----":
            return cls._openssh(path, "".join(lines[1:-1]))
        kinds = {"-----BEGIN RSA PRIVATE KEY-----": "ssh-rsa", "-----BEGIN EC PRIVATE KEY-----": "ecdsa"}
        if head in kinds:
            return cls(path, kinds[head], "ENCRYPTED" in text, _public_beside(path))
        if "PRIVATE KEY" in head:
            raise KeyUnusableError(f"its form is not supported; convert it with `ssh-keygen -p -f {path}`")
        raise KeyUnusableError("it is not a private key")

    @classmethod
    def _openssh(cls, path: str, body: str) -> KeyFile:
        try:
            data = base64.b64decode(body, validate=True)
            if not data.startswith(_MAGIC):
                raise ValueError
            cipher, rest = _string(data[len(_MAGIC):])
            _, rest = _string(rest)
            _, rest = _string(rest)
            public, _ = _string(rest[4:])
            kind, _ = _string(public)
        except (ValueError, binascii.Error, struct.error):
            raise KeyUnusableError("it is damaged") from None
        return cls(path, kind.decode("ascii", "replace"), cipher != b"none", public)

    def load(self, ask: Callable[[str], str | None] | None) -> Any:
        """The key, as paramiko has it; `ask` gives the passphrase. Raises KeyUnusableError."""
        from personaplex_provision.executors.sshlibrary import paramiko_library

        paramiko = paramiko_library()
        classes = {"ssh-ed25519": paramiko.Ed25519Key, "ssh-rsa": paramiko.RSAKey}
        maker = paramiko.ECDSAKey if self.kind.startswith("ecdsa") else classes.get(self.kind)
        if maker is None:
            raise KeyUnusableError(f"a key of type {self.kind} works only through ssh-agent")
        passphrase = None
        if self.encrypted:
            passphrase = ask(self.path) if ask else None
            if passphrase is None:
                raise KeyUnusableError("it needs a passphrase; add it to ssh-agent with ssh-add")
        try:
            if passphrase is None:
                return _known_key(maker, self.path, _state(self.path), _state(f"{self.path}-cert.pub"))
            return _key(maker, self.path, passphrase)
        except (paramiko.SSHException, ValueError, OSError) as error:
            why = "the passphrase is wrong" if self.encrypted else str(error)
            raise KeyUnusableError(why) from None


@lru_cache(maxsize=16)
def _looked_at(path: str, *_states: tuple[int, ...]) -> KeyFile:
    return KeyFile._read(path)


def _key(maker: Any, path: str, passphrase: str | None) -> Any:
    """A key file's key, with the certificate beside it. Raises OSError, ValueError and paramiko's."""
    key = maker.from_private_key_file(path, passphrase)
    if Path(f"{path}-cert.pub").exists():
        key.load_certificate(f"{path}-cert.pub")
    return key


@lru_cache(maxsize=16)
def _known_key(maker: Any, path: str, *_states: tuple[int, ...]) -> Any:
    """The key of a file without a passphrase; read once for all hosts, until a file is written to."""
    return _key(maker, path, None)


def _state(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


@contextlib.contextmanager
def ssh_agent(settings: SshSettings) -> Iterator[list[Any]]:
    """The keys that ssh-agent holds, usable inside the block; none where there is no agent."""
    from personaplex_provision.executors.sshlibrary import paramiko_library

    named = settings.get("identityagent")
    address = os.environ.get("SSH_AUTH_SOCK", "")
    if named and named != "SSH_AUTH_SOCK":
        address = "" if named.lower() == "none" else settings.path(named)
    if not address:
        yield []
        return
    paramiko = paramiko_library()
    with socket.socket(socket.AF_UNIX) as connection:
        keys: list[Any] = []
        with contextlib.suppress(OSError, paramiko.SSHException):
            connection.connect(address)
            agent = paramiko.agent.AgentSSH()
            agent._connect(connection)
            keys = list(agent.get_keys())
        yield keys


def offers(
    settings: SshSettings, explicit: str, held: list[Any], ask: Callable[[str], str | None] | None,
    unusable: Callable[[str], None],
) -> Iterator[tuple[str, Any]]:
    """Keys to try, best first, each with the words that name it.

    First the explicit file, then configured ones, then those `held` by the agent, then the usual files when none is
    configured. A key that a file and the agent both have comes from the agent. `unusable` hears of the others.
    """
    files = [*([explicit] if explicit else []), *settings.identity_files]
    by_public = {key.asbytes(): key for key in held}
    used: set[bytes] = set()
    if files:
        yield from _from_files(files, by_public, used, ask, unusable)
        if settings.flag("identitiesonly", False):
            return
    for key in held:
        if key.asbytes() not in used:
            used.add(key.asbytes())
            yield f"{key.get_name()} from ssh-agent {getattr(key, 'comment', '')}".strip(), key
    if not files:
        usual = [str(path) for name in USUAL if (path := Path("~/.ssh").expanduser() / name).exists()]
        yield from _from_files(usual, by_public, used, ask, unusable)


def _from_files(
    files: list[str], held: dict[bytes, Any], used: set[bytes], ask: Callable[[str], str | None] | None,
    unusable: Callable[[str], None],
) -> Iterator[tuple[str, Any]]:
    for path in dict.fromkeys(files):
        try:
            public = _public_beside(path)
            found = KeyFile.read(path) if not (public in held and not Path(path).exists()) else None
            public = (found.public if found else b"") or public
            if public and public in used:
                continue
            key = held.get(public) or (found.load(ask) if found else None)
        except KeyUnusableError as error:
            unusable(f"{path}: {error}")
            continue
        used.add(public)
        yield path, key


def _public_beside(path: str) -> bytes:
    """The public half in `PATH.pub`, or nothing."""
    try:
        return base64.b64decode(Path(f"{path}.pub").read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError, ValueError):
        return b""


def _string(data: bytes) -> tuple[bytes, bytes]:
    (size,) = struct.unpack_from(">I", data)
    if len(data) < 4 + size:
        raise ValueError("cut short")
    return data[4:4 + size], data[4 + size:]

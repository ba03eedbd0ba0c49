"""The keys by which hosts are known: OpenSSH's known_hosts files, read and added to."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.row import NamedTuple
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import unreachable
from personaplex_provision.executors.sshconfig import SshSettings


@dataclass(frozen=True)
class KnownKey:
    """One line of a known_hosts file that speaks of the host."""

    kind: str
    "`ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` …"
    blob: bytes
    revoked: bool
    file: str
    line: int


class KnownHosts:
    """What the files say about one host, under any of its names."""

    def __init__(self, files: Iterable[str], names: Sequence[str]) -> None:
        self.keys = [key for file in files for key in _read(file, names)]

    def kinds(self) -> list[str]:
        """Types of the known keys, to be asked for first."""
        return list(dict.fromkeys(key.kind for key in self.keys if not key.revoked))

    def verdict(self, kind: str, blob: bytes) -> str:
        """`known`, `unknown`, `changed` or `revoked`.

        A host known by keys of other types only counts as changed: it was asked for those first.
        """
        same = [key for key in self.keys if key.kind == kind and key.blob == blob]
        if any(key.revoked for key in same):
            return "revoked"
        if same:
            return "known"
        return "changed" if any(not key.revoked for key in self.keys) else "unknown"


def names_of(settings: SshSettings) -> list[str]:
    """The names to look a host up by; without an alias, a port other than 22 is a part of the name."""
    return [settings.host_key_name]


def fingerprint(blob: bytes) -> str:
    """`SHA256:…`, as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def judge(settings: SshSettings, policy: str, kind: str, blob: bytes, where: str) -> bool:
    """Decides on the key a host showed. `policy`: `yes`, `accept-new` or `no`.

    Returns whether the host may be trusted with a password (not when `no` let a changed key pass). A new key is
    added under `accept-new`. Raises UnreachableError.
    """
    files, names = settings.known_hosts, names_of(settings)
    known = KnownHosts(files, names)
    verdict = known.verdict(kind, blob)
    if verdict == "known":
        return True
    if verdict == "revoked":
        raise unreachable(f"{where}: the host's key {fingerprint(blob)} has been revoked", hint="do not connect to it")
    if policy == "no":
        return verdict == "unknown"
    if verdict == "changed":
        raise _changed(known, settings, kind, blob, where)
    if policy == "accept-new":
        add(files[0], names[0], kind, blob, hashed=settings.flag("hashknownhosts", False))
        return True
    raise _unknown(settings, kind, blob, where)


def add(file: str, name: str, kind: str, blob: bytes, hashed: bool = False) -> None:
    """Adds a line to a known_hosts file, in one write. Raises UnreachableError when it cannot be written."""
    if hashed:
        salt = secrets.token_bytes(20)
        digest = hmac.new(salt, name.encode(), "sha1").digest()
        name = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
    text = f"{name} {kind} {base64.b64encode(blob).decode()}\n"
    path = Path(file)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file whose last line has no end would swallow ours.
        if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            text = "\n" + text
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(number, text.encode())
        finally:
            os.close(number)
    except OSError as error:
        raise unreachable(f"the new host key cannot be kept in {file}: {error.strerror}") from None


def _unknown(settings: SshSettings, kind: str, blob: bytes, where: str) -> UnreachableError:
    short = "rsa" if kind == "ssh-rsa" else "ed25519" if kind == "ssh-ed25519" else "ecdsa"
    port = "" if settings.port == 22 else f"-p {settings.port} "
    return unreachable(
        f"{where}: the host's key is not known, so it was not trusted",
        f"it showed the {short} key {fingerprint(blob)}",
        "compare that with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the host itself; to accept it: "
        f"`ssh-keyscan -t {short} {port}{settings.hostname} >> {settings.known_hosts[0]}`, "
        "or run again with --accept-new-host-key",
    )


def _changed(known: KnownHosts, settings: SshSettings, kind: str, blob: bytes, where: str) -> UnreachableError:
    old = next((key for key in known.keys if key.kind == kind), known.keys[0])
    return unreachable(
        f"{where}: THE HOST'S KEY HAS CHANGED: somebody may be between you and it",
        f"known: {old.kind} {fingerprint(old.blob)} ({old.file}:{old.line})\n"
        f"shown: {kind} {fingerprint(blob)}",
        "if the host was reinstalled, check the new key on the host itself and remove the old one: "
        f"`ssh-keygen -R '{names_of(settings)[0]}' -f {old.file}`",
    )


class _Line(NamedTuple):
    number: int
    names: str
    kind: str
    blob: str
    revoked: bool


def _read(file: str, names: Sequence[str]) -> Iterator[KnownKey]:
    try:
        found = os.stat(file)
        plain, others = _lines(file, (found.st_mtime_ns, found.st_size, found.st_ino))
    except OSError:
        return
    lines = {line for name in names for line in plain.get(name.lower(), ())}
    lines.update(line for line in others if any(_names(line.names, name) for name in names))
    for line in sorted(lines):
        try:
            blob = base64.b64decode(line.blob, validate=True)
        except (ValueError, binascii.Error):
            continue
        yield KnownKey(line.kind, blob, line.revoked, file, line.number)


@lru_cache(maxsize=64)
def _lines(file: str, _state: tuple[int, ...]) -> tuple[dict[str, list[_Line]], list[_Line]]:
    """Lines of plain names, by name, and the others; read once for all hosts, until the file is written to."""
    plain: dict[str, list[_Line]] = {}
    others: list[_Line] = []
    for number, line in enumerate(Path(file).read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        # Authorities sign certificates, which a host does not show us.
        if len(words) < 3 or words[0].startswith("#") or marker == "@cert-authority":
            continue
        found = _Line(number, words[0], words[1], words[2], marker == "@revoked")
        if words[0].startswith("|") or any(sign in words[0] for sign in "*?!"):
            others.append(found)
        else:
            for name in words[0].lower().split(","):
                plain.setdefault(name, []).append(found)
    return plain, others


def _names(field: str, name: str) -> bool:
    """Whether the first field of a line means `name`: hashed, or patterns with `*`, `?` and `!`."""
    if field.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in field[3:].split("|"))
        except (ValueError, binascii.Error):
            return False
        return hmac.compare_digest(hmac.new(salt, name.lower().encode(), "sha1").digest(), digest)
    found = False
    for pattern in field.lower().split(","):
        fits = fnmatch.fnmatchcase(name.lower(), pattern.lstrip("!").replace("[", "[[]"))
        if fits and pattern.startswith("!"):
            return False
        found = found or fits
    return found

"""Filters that make digests, identifiers and password hashes."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from functools import lru_cache
from typing import Any

from personaplex_provision.language.filters.shacrypt import ALPHABET, sha_crypt

# Ansible's own namespace: the same text gives the same identifier there.
_NAMESPACE = "361E6D51-FAEC-444A-9079-341386DA8E2E"
_ROUNDS = {"sha256": 535_000, "sha512": 656_000}


def digest(value: Any, hashtype: str = "sha1") -> str:
    """The hex digest of a text."""
    if hashtype not in hashlib.algorithms_available:
        raise ValueError(f"{hashtype!r} is not a hash; there are: {', '.join(sorted(hashlib.algorithms_guaranteed))}")
    return hashlib.new(hashtype, _bytes(value), usedforsecurity=False).hexdigest()


def md5(value: Any) -> str:
    """The MD5 of a text."""
    return digest(value, "md5")


def sha1(value: Any) -> str:
    """The SHA-1 of a text."""
    return digest(value, "sha1")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")


def to_uuid(value: str, namespace: Any = _NAMESPACE) -> str:
    """The UUID (version 5) of a text."""
    return str(uuid.uuid5(namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(str(namespace)), value))


def password_hash(
    password: Any, hashtype: str = "sha512", salt: str | None = None, salt_size: int | None = None,
    rounds: int | None = None, ident: str | None = None,
) -> str:
    """A password as `/etc/shadow` keeps it: `sha512`, `sha256` or `blowfish` (bcrypt).

    Without `salt` each call gives another hash, and so a change in every plan.
    """
    kind = {"sha512_crypt": "sha512", "sha256_crypt": "sha256", "bcrypt": "blowfish"}.get(hashtype, hashtype)
    if kind == "blowfish":
        return _bcrypt(str(password), salt, rounds or 12, ident or "2b")
    if kind not in _ROUNDS:
        raise ValueError(f"{hashtype!r} is not a password hash used here; there are: sha512, sha256, blowfish")
    salt = salt or "".join(secrets.choice(ALPHABET) for _ in range(salt_size or 16))
    if len(salt) > 16 or any(one not in ALPHABET for one in salt):
        raise ValueError("the salt has 1 to 16 characters of ./0-9A-Za-z")
    return _sha(str(password), kind, salt, rounds or _ROUNDS[kind])


@lru_cache(maxsize=256)
def _sha(password: str, kind: str, salt: str, rounds: int) -> str:
    # Each takes about a second, and a plan reads the same variable many times.
    return sha_crypt(password, kind, salt, rounds)


def _bcrypt(password: str, salt: str | None, rounds: int, ident: str) -> str:
    import bcrypt

    if salt is not None and len(salt) != 22:
        raise ValueError("the salt of blowfish has 22 characters")
    start = bcrypt.gensalt(rounds) if salt is None else f"$2b${rounds:02d}${salt}".encode()
    found = bcrypt.hashpw(password.encode("utf-8")[:72], start).decode("ascii")
    return f"${ident}{found[3:]}"


FILTERS: dict[str, Any] = {
    "checksum": sha1,
    "hash": digest,
    "md5": md5,
    "password_hash": password_hash,
    "sha1": sha1,
    "to_uuid": to_uuid,
}

"""What earlier starts found out about a host: which Python it has, and which engine it keeps.

Only a guess that saves time: the first stage looks whether it is true, and asks for what it lacks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os

from personaplex_provision import cache
from personaplex_provision.agent.row import NamedTuple

_WRITING = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC


class Kept(NamedTuple):
    """An engine in a host's state directory."""

    path: str
    sha256: str
    tag: str
    "The Python that its compiled modules are for."
    version: str
    "Which engine it is, as `bundle.version()` has it."


class Known(NamedTuple):
    """What is known of a host."""

    python: str = ""
    "Tag of its Python; empty when that is not known."
    kept: Kept | None = None


def recall(where: str) -> Known:
    """What is known of the host reached as `where`; what cannot be read is not known."""
    try:
        with open(_path(where), "rb") as file:
            python, kept = json.loads(file.read())
        return Known(str(python), Kept(*map(str, kept)) if kept else None)
    except (OSError, ValueError, TypeError):
        return Known()


def remember(where: str, known: Known) -> None:
    """Notes it for the next start; a cache that cannot be written is no error."""
    path, text = _path(where), json.dumps(known).encode()
    with contextlib.suppress(OSError):
        try:
            number = os.open(path, _WRITING, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            number = os.open(path, _WRITING, 0o600)
        try:
            # Cut to its size afterwards: one that is emptied first goes to the disk at once, which takes milliseconds.
            os.write(number, text)
            os.ftruncate(number, len(text))
        finally:
            os.close(number)


def _path(where: str) -> str:
    return cache.path(f"hosts/{hashlib.sha256(where.encode()).hexdigest()[:32]}")

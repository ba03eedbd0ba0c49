"""What earlier starts found out about a host: which Python it has, and which engine it keeps.

Only a guess that saves time: the first stage looks whether it is true, and asks for what it lacks.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from personaplex_provision import cache
from personaplex_provision.agent.row import NamedTuple


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
        python, kept = json.loads(_path(where).read_text(encoding="utf-8"))
        return Known(str(python), Kept(*map(str, kept)) if kept else None)
    except (OSError, ValueError, TypeError):
        return Known()


def remember(where: str, known: Known) -> None:
    """Notes it for the next start; a cache that cannot be written is no error."""
    path = _path(where)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(known), encoding="utf-8")
    except OSError:
        pass


def _path(where: str) -> Path:
    return cache.directory() / "hosts" / hashlib.sha256(where.encode()).hexdigest()[:32]

"""Small texts as a run left them, beside its journal: the middle between what was there and what is there today."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any, Callable, Dict, List, Optional

from personaplex_provision.agent.store import Store, making

LIMIT = 256 * 1024
"""Bytes up to which a text is kept and compared."""


def keep(store: Store, run: str, marks: Dict[str, List[Any]], clean: Callable[[str], str]) -> None:
    """Keeps the text of every small file that the marks tell of, unless `clean` finds a secret in it.

    Nothing is waited for: a text that a power cut took is noticed by its digest, and missed by nobody but a rollback
    that would have undone an edit beside someone else's.
    """
    for path, (mark, _) in marks.items():
        if not isinstance(mark, dict) or mark["type"] != "file":
            continue
        with contextlib.suppress(OSError):
            if os.path.getsize(path) > LIMIT:
                continue
            with open(path, "rb") as file:
                data = file.read(LIMIT + 1)
            text = plain(data)
            name = os.path.join(store.directory("runs", run, "blobs"), mark["content"])
            if text is None or clean(text) != text or os.path.exists(name):
                continue
            with making(name) as file:
                file.write(data)


def kept(store: Store, run: str, sha256: str) -> Optional[str]:
    """A text that was kept, or None."""
    try:
        with open(store.path("runs", run, "blobs", sha256), "rb") as file:
            data = file.read()
    except OSError:
        return None
    return plain(data) if hashlib.sha256(data).hexdigest() == sha256 else None


def plain(data: bytes) -> Optional[str]:
    """The text that the bytes are, or None where they are too many or no UTF-8."""
    if len(data) > LIMIT or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None

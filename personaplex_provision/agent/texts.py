"""Small texts as a run left them, beside its journal: the middle between what was there and what there is today.

They stand one behind the other in a file `texts`, each after a line with its digest and its size: a file for each would
take longer to make than the step that it is kept for. Runs of earlier versions have a file for each, in `blobs`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from personaplex_provision.agent.digests import sha256 as digest
from personaplex_provision.agent.look import chunks
from personaplex_provision.agent.store import Store

LIMIT = 256 * 1024
"""Bytes up to which a text is kept and compared."""


class Texts:
    """The texts of one run; safe to share between threads."""

    def __init__(self, store: Store, run: str) -> None:
        self._path = store.path("runs", run, "texts")
        self._earlier = store.path("runs", run, "blobs")
        self._kept: Set[str] = set()
        self._places: Optional[Dict[str, Tuple[int, int]]] = None
        "Where each text begins, and its size; once any was asked for."
        self._lock = threading.Lock()

    def keep(
        self, marks: Dict[str, List[Any]], clean: Callable[[str], str],
        held: Callable[[str], Optional[bytes]] = lambda _: None,
    ) -> None:
        """Keeps the text of every small file that the marks tell of, unless `clean` finds a secret in it.

        `held` gives what a file is known to hold, or None.
        Nothing is waited for: a text that a power cut took is noticed by its digest, and missed by nobody but a
        rollback that would have undone an edit beside someone else's.
        """
        for path, (mark, _) in marks.items():
            if not isinstance(mark, dict) or mark["type"] != "file" or mark["content"] in self._kept:
                continue
            with contextlib.suppress(OSError):
                data = held(path)
                if data is None and os.stat(path).st_size <= LIMIT:
                    data = b"".join(chunks(path))
                text = None if data is None else plain(data)
                if data is not None and text is not None and clean(text) == text:
                    self._append(mark["content"], data)

    def _append(self, sha256: str, data: bytes) -> None:
        with self._lock:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                whole = b"%s %d\n%s\n" % (sha256.encode(), len(data), data)
                written = os.write(fd, whole)
                if written < len(whole):  # what follows half a text could not be found
                    os.ftruncate(fd, os.fstat(fd).st_size - written)
                    return
            finally:
                os.close(fd)
            self._kept.add(sha256)

    def kept(self, sha256: str) -> Optional[str]:
        """A text that was kept, or None."""
        with self._lock:
            if self._places is None:
                self._places = _places(self._path)
        try:
            if sha256 in self._places:
                with open(self._path, "rb") as file:
                    start, size = self._places[sha256]
                    file.seek(start)
                    data = file.read(size)
            else:
                with open(os.path.join(self._earlier, sha256), "rb") as file:
                    data = file.read()
        except OSError:
            return None
        return plain(data) if digest(data).hexdigest() == sha256 else None


def _places(path: str) -> Dict[str, Tuple[int, int]]:
    found: Dict[str, Tuple[int, int]] = {}
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        for line in iter(file.readline, b""):
            sha256, size = line.split()
            found[sha256.decode()] = file.tell(), int(size)
            file.seek(int(size) + 1, os.SEEK_CUR)
    return found


def plain(data: bytes) -> Optional[str]:
    """The text that the bytes are, or None where they are too many or no UTF-8."""
    if len(data) > LIMIT or b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None

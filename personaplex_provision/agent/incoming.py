"""Contents on their way from the controller into the store.

What came of one is kept under its digest when the connection ends, and the next run goes on from its length.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Callable, Dict, Optional

from personaplex_provision.agent.protocol import BlobChunk
from personaplex_provision.agent.store import Store

Told = Callable[[int], None]
"""Hears how many bytes are here."""
_AHEAD = 16
"Pieces that may wait for the disk."
_PACE = 0.5
"Seconds between two words about progress."


class Incoming:
    """The contents that are arriving; each is written by a thread of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told: Dict[str, Told] = {}
        "Who wants to hear of a content, by digest."
        self.broken: Dict[str, str] = {}
        "Why a content could not be kept, by digest."
        self._arriving: Dict[str, Arrival] = {}

    def take(self, piece: BlobChunk) -> None:
        """A piece; after the last one the content is in the store when this returns, if it is what it should be."""
        if piece.sha256 not in self._arriving:
            self._arriving[piece.sha256] = Arrival(
                self.store, piece.sha256, self.told.get(piece.sha256), self.broken)
        self._arriving[piece.sha256].pieces.put(piece.data)
        if piece.final:
            self._arriving.pop(piece.sha256).finish()

    def stop(self) -> None:
        """The connection is gone: what came is on the disk when this returns."""
        for sha256 in list(self._arriving):
            self._arriving.pop(sha256).finish(whole=False)


class Arrival:
    """One content."""

    def __init__(self, store: Store, sha256: str, told: Optional[Told], broken: Dict[str, str]) -> None:
        self.pieces: queue.Queue[Optional[bytes]] = queue.Queue(maxsize=_AHEAD)
        self._store, self._sha256, self._told, self._broken = store, sha256, told, broken
        self._whole = False
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def finish(self, whole: bool = True) -> None:
        """Waits until all that arrived is kept."""
        self._whole = whole
        self.pieces.put(None)
        self._thread.join()

    def _write(self) -> None:
        ended = False
        try:
            with self._store.arriving(self._sha256) as part:
                said = time.monotonic()
                for data in iter(self.pieces.get, None):
                    part.write(data)
                    if self._told is not None and time.monotonic() - said >= _PACE:
                        said = time.monotonic()
                        self._told(part.tell())
                ended = True
            if self._whole:
                self._store.arrived(self._sha256)
        except OSError as error:
            self._broken[self._sha256] = os.strerror(error.errno or 0)
            while not ended:  # what still comes is let go
                ended = self.pieces.get() is None

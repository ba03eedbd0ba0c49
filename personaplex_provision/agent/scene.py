"""The paths of the host as they will be once some steps are taken back."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from personaplex_provision.agent import look as looks
from personaplex_provision.agent import texts
from personaplex_provision.agent.look import Look
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.store import Store


@dataclass
class _Placed:
    path: str
    look: Look
    source: str = ""
    "Where its content lies; of a tree where the whole tree does."
    text: Optional[str] = None


class Scene:
    """Starts as what is there now; `put` tells what a step will have brought back."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._placed: List[_Placed] = []

    def put(self, image: Dict[str, Any], look: Look, content: bool = True, text: Optional[str] = None) -> None:
        """A path will be as `look` says; with `content` that is the image's, or `text`, else what it was."""
        over = self._over(image["path"])
        source, before = "", over.text if over is not None and over.path == image["path"] else None
        if content:
            source = self._store.path("blobs", image["sha256"]) if image["type"] == "file" else image.get("aside", "")
        elif look["type"] == "file":
            source = self._lies(image["path"])
        # A directory that only got its own aspects back says nothing of what is in it: what was put before does.
        self._placed.append(_Placed(image["path"], look, source, text if content else before))

    def look(self, path: str, whole: bool = False) -> Look:
        """What will be at the path."""
        one = self._over(path)
        if one is None:
            return looks.look(path, whole)
        if one.path == path:
            return one.look
        return looks.look(self._lies(path)) if one.source else {"type": "absent"}

    def text(self, path: str) -> Optional[str]:
        """The text that will be in a file, or None where it is none or too long."""
        one = self._over(path)
        if one is not None and one.text is not None:
            return one.text
        try:
            with open(self._lies(path), "rb") as file:
                return texts.plain(file.read(texts.LIMIT + 1))
        except OSError:
            return None

    def knows(self, path: str) -> bool:
        """Whether something at the path, above it or in it will have come back."""
        return any(_inside(path, one.path) or _inside(one.path, path) for one in self._placed)

    def holds(self, path: str) -> List[str]:
        """What a directory will hold."""
        try:
            names = sorted(os.listdir(self._lies(path)))
        except OSError:
            return []
        return [one for one in names if self.look(os.path.join(path, one))["type"] != "absent"]

    def _lies(self, path: str) -> str:
        """Where on the disk that lies which will be at the path."""
        one = self._over(path, content=True)
        if one is None:
            return path
        return one.source + path[len(one.path.rstrip("/")) :] if one.source else ""

    def _over(self, path: str, content: bool = False) -> Optional[_Placed]:
        """The last thing put there, or above it where that says what is in it; for `content` only what tells it."""
        for one in reversed(self._placed):
            if one.path == path and not (content and one.look["type"] == "directory" and not one.source):
                return one
            if _inside(path, one.path) and (one.source or one.look["type"] != "directory"):
                return one
        return None


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")

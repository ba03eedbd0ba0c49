"""The paths of the host as they will be once some steps are taken back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from personaplex_provision.agent import look as looks
from personaplex_provision.agent import texts
from personaplex_provision.agent.look import Look
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
        source, before = (over.source, over.text) if over is not None and over.path == image["path"] else ("", None)
        if content:
            source = self._store.path("blobs", image["sha256"]) if image["type"] == "file" else image.get("aside", "")
        elif not source:
            source = image["path"]
        self._placed.append(_Placed(image["path"], look, source, text if content else before))

    def look(self, path: str, whole: bool = False) -> Look:
        """What will be at the path."""
        one = self._over(path)
        if one is None:
            return looks.look(path, whole)
        if one.path == path:
            return one.look
        return looks.look(one.source + path[len(one.path.rstrip("/")) :]) if one.source else {"type": "absent"}

    def text(self, path: str) -> Optional[str]:
        """The text that will be in a file, or None where it is none or too long."""
        one = self._over(path)
        if one is not None and one.text is not None:
            return one.text
        source = path
        if one is not None:
            source = one.source if one.path == path else one.source + path[len(one.path.rstrip("/")) :]
        try:
            with open(source, "rb") as file:
                return texts.plain(file.read(texts.LIMIT + 1))
        except OSError:
            return None

    def knows(self, path: str) -> bool:
        """Whether something at the path, above it or in it will have come back."""
        return any(_inside(path, one.path) or _inside(one.path, path) for one in self._placed)

    def holds(self, path: str) -> List[str]:
        """What a directory will hold."""
        one = self._over(path)
        where = path if one is None or not one.source else one.source + path[len(one.path.rstrip("/")) :]
        try:
            names = sorted(os.listdir(where))
        except OSError:
            return []
        return [one for one in names if self.look(os.path.join(path, one))["type"] != "absent"]

    def _over(self, path: str) -> Optional[_Placed]:
        """The last thing put there, or above it where that says what is in it."""
        for one in reversed(self._placed):
            if one.path == path:
                return one
            if _inside(path, one.path) and (one.source or one.look["type"] != "directory"):
                return one
        return None


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")

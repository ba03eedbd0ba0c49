"""Base of the kinds that edit a text file: a pure function from text to text, and the rest in one place.

The file is in state when editing it changes nothing. An edit is repeated until it does, so that one run leads where
running it again and again would.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Change, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._attributes import (
    PathResource,
    apply_attributes,
    awaited,
    born_mode,
    check_mode,
    check_path,
    describe,
    group_id,
    observe_attributes,
    user_id,
)
from personaplex_provision.agent.resources._replacing import check_validation, keep_copy, text_at, validate_content
from personaplex_provision.agent.values import Blob

_TURNS = 50
_ROOM = 1 << 16
"""Characters by which a text may grow past twice what one edit makes of it."""


@dataclass
class EditedFile(PathResource):
    """A text file of which a part is managed."""

    reversible_why = (
        "The file that was there is kept before it is changed, with owner, mode and times, and comes back as it was."
    )
    describes = True
    aliases = {"dest": "path", "destfile": "path", "name": "path", "validate": "validation"}

    backup: bool = False
    "Whether a dated copy of the file stays beside it when it is changed; rollback does not need it."
    validation: str | None = None
    "Command that must accept the new text before it is put in place; `%s` stands for its path."
    digest: Blob | None = observed()
    "What the file holds."
    wanted: Blob | None = observed()
    "What it would hold after the edit."

    def edit(self, text: str) -> str:
        """The text as it should be. Pure."""
        raise NotImplementedError

    def makes_file(self) -> bool:
        """Whether a missing file may be made."""
        return False

    def takes_away(self) -> bool:
        """Whether something is to be gone, so that a missing file is in state."""
        return False

    def follows(self) -> bool:
        """Whether a link at the path is followed."""
        return True

    def validate(self) -> Iterator[str]:
        yield from check_path("path", self.path)
        yield from check_mode("mode", self.mode)
        yield from check_validation(self.validation)

    def observe(self, host: Host) -> Any:
        at = self._at(host)
        entry = host.stat(at)
        if entry.type == "directory":
            raise ResourceError(f"{at} is a directory, not a file that can be edited")
        now = type(self)(self.path)
        if not entry.exists and self.takes_away():
            return now
        text = host.read_text(at) if entry.exists else ""
        now.digest = _blob(text) if entry.exists else None
        now.wanted = _blob(self._settled(text))
        for name, value in observe_attributes(host, entry, self).items():
            setattr(now, name, value)
        return now

    def managed(self) -> List[str]:
        return ["owner", "group", "mode"]

    def diff(self, now: Any) -> List[Change]:
        if now.digest is None and now.wanted is None:
            return []
        found = super().diff(now)
        if now.digest != now.wanted:
            before = None if now.digest is None else str(now.digest)
            found.insert(0, Change("content", before, str(now.wanted)))
        return found

    def action(self, now: Any, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.digest is None else "update"

    def preview(self, now: Any, host: Host) -> Optional[Tuple[str, str]]:
        if now.digest == now.wanted:
            return None
        before = text_at(host, self._at(host))
        return None if before is None else (before, self._settled(before))

    def converge(self, now: Any, host: Host) -> None:
        at = self._at(host)
        if now.digest is None:
            self._make_room(host, at)
        if now.digest != now.wanted:
            text = host.read_text(at) if now.digest is not None else ""
            data = self._settled(text).encode("utf-8", "surrogateescape")
            validate_content(host, self.validation, data)
            if self.backup and now.digest is not None:
                keep_copy(host, at)
            mode = born_mode(self.mode) if now.digest is None else None
            host.write(at, data, mode=mode, uid=user_id(host, self.owner), gid=group_id(host, self.group))
        apply_attributes(host, at, self.owner, self.group, self.mode)

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {**describe(host, self._at(host)), "msg": ""}

    def _make_room(self, host: Host, at: str) -> None:
        if not self.makes_file():
            if awaited(host):
                raise Unpredictable(f"{at} is not there yet")
            hint = "`create: true` makes it" if hasattr(self, "create") else "make it with `copy` or `template` first"
            raise ResourceError(f"{at} does not exist", hint=hint)
        parent = os.path.dirname(at)
        if not host.stat(parent, follow=True).exists:
            host.mkdir(parent)

    def _at(self, host: Host) -> str:
        path = host.expand(self.path)
        return host.realpath(path) if self.follows() and host.stat(path).type == "link" else path

    def _settled(self, text: str) -> str:
        after = self.edit(text)
        room = 2 * max(len(text), len(after)) + _ROOM
        for _ in range(_TURNS):
            if after == text:
                return text
            if len(after) > room:
                break
            text, after = after, self.edit(after)
        raise ResourceError(
            f"editing {self.path} would never end: each run changes what the one before wrote",
            hint="make the expression not match what the edit leaves, for example with (?!…) behind it",
        )


def split_lines(text: str) -> List[str]:
    """The lines of a text with their ends; only a newline ends a line."""
    *whole, rest = text.split("\n")
    return [f"{one}\n" for one in whole] + ([rest] if rest else [])


def ended(line: str) -> str:
    """The line with a newline at its end."""
    return line if line.endswith("\n") else line + "\n"


def check_expression(name: str, text: Optional[str], flags: int = 0) -> Iterator[str]:
    """What is wrong with a regular expression."""
    if text is None:
        return
    try:
        re.compile(text, flags)
    except re.error as error:
        yield f'{name} "{text}" is no regular expression: {error}'


def _blob(text: str) -> Blob:
    return Blob.of(text.encode("utf-8", "surrogateescape"))

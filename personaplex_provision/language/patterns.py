"""Host patterns, as `hosts:` and `--limit` take them.

`a:b` and `a,b` join, `&c` intersects, `!d` excludes; a part is the name of a host or group, a glob (`lab*`), a regular
expression from the name's start (`~lab0[12]`), or `@FILE` with a part a line; `[0]`, `[-1]`, `[0:5]` (both ends
included) and `[2:]` choose among what a part matched. Joins are done first, then intersections, then exclusions.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from personaplex_provision.errors import (
    Diagnostic,
    Findings,
    MissingFileError,
    Position,
    ProvisionError,
    UsageError,
    suggestion,
)
from personaplex_provision.language.hostnames import LOCALHOST, is_name, split_port
from personaplex_provision.language.source import position_of, read_text

_Part = tuple[str, Position | None]
_PIECE = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_SUBSCRIPT = re.compile(r"(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]", re.DOTALL)
_SPECIAL = re.compile(r"[*?\[]")


def split(pattern: str, names: Collection[str] = ()) -> list[str]:
    """The parts of a pattern. Colons separate only where there is no comma, and never inside brackets, an IPv6 address
    or one of `names`."""
    if "," in pattern:
        return [part.strip() for part in pattern.split(",") if part.strip()]
    bare = pattern.strip()
    if bare.lstrip("!&") in names or is_name(split_port(bare.lstrip("!&"))[0]):
        return [bare]
    return [str(part) for part in _PIECE.findall(pattern)]


class Selector:
    """Evaluates patterns over `hosts`, in inventory order, and `groups`, whose host lists include those of their
    descendants."""

    def __init__(self, hosts: Collection[str], groups: Mapping[str, Sequence[str]]) -> None:
        self.hosts = hosts
        self.groups = groups
        self._known = {*hosts, *groups, *LOCALHOST}
        self._matched: dict[str, list[str]] = {}

    def select(self, pattern: str | Sequence[str], position: Position | None, error: type[ProvisionError]) -> list[str]:
        """The hosts a pattern names, each once: part after part, and within a part in inventory order.

        Raises `error` for a name that is no host or group, MissingFileError for an `@FILE` that cannot be read.
        """
        findings = Findings()
        parts = [part for text in _texts(pattern) for part in self._parts(text, position_of(text, position), findings)]
        joined = [one for one in parts if one[0][0] not in "!&"] or [("all", position)]
        found: dict[str, None] = {}
        for part, where in joined:
            found |= dict.fromkeys(self._match(part, where, findings))
        for sign, part, where in ((sign, part[1:], where) for sign in "&!" for part, where in parts if part[0] == sign):
            matched = set(self._match(part, where, findings))
            found = {host: None for host in found if (host in matched) == (sign == "&")}
        if findings.items:
            raise error(findings.items)
        return list(found)

    def _parts(self, text: str, position: Position | None, findings: Findings) -> Iterable[_Part]:
        """The parts of `text` with their positions, those from an `@FILE` in its place."""
        for part in split(text, self._known):
            where = _shifted(position, text, part)
            if part.startswith("@"):
                if not os.path.isfile(part[1:]):
                    summary = f"there is no file {part[1:]} with hosts"
                    raise MissingFileError(Diagnostic(summary, position=where))
                lines = [line.strip() for line in read_text(part[1:], where).splitlines()]
                for number, line in enumerate(lines, 1):
                    if line and line[0] != "#":
                        yield line, Position(part[1:], number, 1)
            elif part in ("!", "&"):
                findings.add(f'"{part}" has no name after it', where)
            else:
                yield part, where

    def _match(self, part: str, where: Position | None, findings: Findings) -> list[str]:
        """The hosts one part names, without its sign."""
        if part not in self._matched:
            try:
                self._matched[part] = self._find(part)
            except _Mismatch as error:
                findings.add(str(error), where, hint=error.hint)
                return []
        return self._matched[part]

    def _find(self, part: str) -> list[str]:
        if part in self.hosts:
            return [part]
        subscript = None if part[0] == "~" else _SUBSCRIPT.fullmatch(part)
        if subscript is None:
            return self._named(part)
        try:
            found = self._named(subscript[1])
        except _Mismatch as error:
            error.hint = error.hint or f"[…] at the end chooses by position; a set of characters needs more: {part}*"
            raise
        index, first, last = subscript[2], subscript[3], subscript[4]
        if index is None:
            return found[int(first) : int(last) + 1 if last else None]
        if found and not -len(found) <= int(index) < len(found):
            raise _Mismatch(f'"{part}" asks for more hosts than there are', f"{subscript[1]} has {len(found)}")
        return [found[int(index)]] if found else []

    def _named(self, part: str) -> list[str]:
        """The hosts of a part without subscript: all of a group that matches, else hosts that match."""
        if part[0] == "~":
            try:
                matches = re.compile(part[1:]).match
            except re.error as error:
                raise _Mismatch(f'"{part}" is not a regular expression: {error}', "") from None
        elif _SPECIAL.search(part):
            matches = re.compile(fnmatch.translate(part)).match
        elif part in self.groups or part in self.hosts:
            return list(self.groups[part]) if part in self.groups else [part]
        elif part in LOCALHOST:
            return [next((host for host in self.hosts if host in LOCALHOST), part)]
        else:
            raise _Mismatch(f'no host or group is called "{part}"', suggestion(part, self._known))
        found: dict[str, None] = {}
        for group, members in self.groups.items():
            if matches(group):
                found |= dict.fromkeys(members)
        return list(found | dict.fromkeys(host for host in self.hosts if matches(host)))


class _Mismatch(Exception):
    """A part that names nothing, and what may have been meant."""

    def __init__(self, summary: str, hint: str) -> None:
        super().__init__(summary)
        self.hint = hint


def checked_limit(limit: str) -> str:
    """`limit`. Raises UsageError when it is empty: an unset variable in a script must not mean every host."""
    if not limit.strip(" ,:"):
        raise UsageError(Diagnostic("--limit is empty", hint='leave it out to mean all hosts, or write "all"'))
    return limit


def _texts(pattern: str | Sequence[str]) -> list[str]:
    return [pattern] if isinstance(pattern, str) else list(pattern)


def _shifted(position: Position | None, text: str, part: str) -> Position | None:
    """Where `part` stands, when `text` stands on one line at `position`."""
    if position is None or not position.line or getattr(text, "block", False):
        return position
    column = position.column + max(text.find(part), 0) + (1 if getattr(text, "quoted", False) else 0)
    return Position(position.file, position.line, column)

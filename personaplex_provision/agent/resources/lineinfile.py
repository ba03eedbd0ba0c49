"""The `lineinfile` kind."""

from __future__ import annotations

import re
from typing import Iterator, List, Literal, Optional, Tuple

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._editing import EditedFile, check_expression, ended, split_lines

EXAMPLE = """
- name: root does not log in over the network
  lineinfile:
    path: /etc/ssh/sshd_config
    regexp: '^#?PermitRootLogin'
    line: PermitRootLogin no
    validate: /usr/sbin/sshd -t -f %s
"""


@dataclass
class LineInFile(EditedFile):
    """One line of a text file: that it is there, in place of those that match, or that it is gone.

    Taken back exactly: the file is kept before it is changed.
    """

    kind = "lineinfile"
    aliases = {**EditedFile.aliases, "value": "line", "regex": "regexp"}

    line: str | None = None
    "The line; with `backrefs` it may speak of the groups of `regexp` as `\\1`."
    regexp: str | None = None
    "Expression for the line that is replaced (the last that matches) or, with state absent, for all that go."
    search_string: str | None = None
    "Plain text instead of `regexp`."
    state: Literal["present", "absent"] = "present"
    "Whether the line should be there."
    insertafter: str | None = None
    "Where a new line goes: after the last line that matches this expression, or `EOF`."
    insertbefore: str | None = None
    "Where a new line goes: before the last line that matches this expression, or `BOF`."
    firstmatch: bool = False
    "Whether the first match counts instead of the last."
    backrefs: bool = False
    "Whether `line` uses the groups of `regexp`; when nothing matches, the file stays as it is."
    create: bool = False
    "Whether a missing file is made, with the directories above it."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from check_expression("regexp", self.regexp)
        yield from check_expression("insertafter", None if self.insertafter in ("BOF", "EOF") else self.insertafter)
        yield from check_expression("insertbefore", None if self.insertbefore in ("BOF", "EOF") else self.insertbefore)
        if self.state == "present" and self.line is None:
            yield "state present needs line"
        if self.state == "absent" and self.line is None and self.regexp is None and self.search_string is None:
            yield "state absent needs line, regexp or search_string to know what goes"
        if self.backrefs and self.regexp is None:
            yield "backrefs needs regexp, whose groups line speaks of"
        if self.regexp is not None and self.search_string is not None:
            yield "regexp and search_string exclude each other"
        if self.insertafter is not None and self.insertbefore is not None:
            yield "insertafter and insertbefore exclude each other"

    def makes_file(self) -> bool:
        return self.create

    def takes_away(self) -> bool:
        return self.state == "absent"

    def edit(self, text: str) -> str:
        lines = split_lines(text)
        if self.state == "absent":
            return "".join(one for one in lines if not self._goes(one))
        wanted = self.line or ""
        at, match = self._matching(lines)
        if at is not None:
            lines[at] = ended(_expand(match, wanted) if self.backrefs and match else wanted)
            return "".join(lines)
        same = [number for number, one in enumerate(lines) if one.rstrip("\r\n") == wanted]
        if same:
            lines[same[-1]] = ended(wanted)
        elif not self.backrefs:
            place = self._place(lines)
            if place and not lines[place - 1].endswith("\n"):
                lines[place - 1] += "\n"
            lines.insert(place, ended(wanted))
        return "".join(lines)

    def _matching(self, lines: List[str]) -> Tuple[Optional[int], Optional[re.Match[str]]]:
        """The line that is replaced."""
        found: Tuple[Optional[int], Optional[re.Match[str]]] = (None, None)
        if self.regexp is None and self.search_string is None:
            return found
        search = re.compile(self.regexp).search if self.regexp is not None else None
        for number, one in enumerate(lines):
            match = search(one) if search is not None else None
            if match or (self.search_string is not None and self.search_string in one):
                found = (number, match)
                if self.firstmatch:
                    break
        return found

    def _place(self, lines: List[str]) -> int:
        """Where a new line goes."""
        if "BOF" in (self.insertbefore, self.insertafter):
            return 0
        where = self.insertafter if self.insertafter is not None else self.insertbefore
        if where is None or where == "EOF":
            return len(lines)
        hits = [number for number, one in enumerate(lines) if re.search(where, one)]
        if not hits:
            return len(lines)
        hit = hits[0] if self.firstmatch else hits[-1]
        return hit + 1 if self.insertafter is not None else hit

    def _goes(self, line: str) -> bool:
        if self.regexp is not None:
            return re.search(self.regexp, line) is not None
        if self.search_string is not None:
            return self.search_string in line
        return line.rstrip("\r\n") == self.line


def _expand(match: re.Match[str], line: str) -> str:
    try:
        return match.expand(line)
    except (re.error, IndexError) as error:
        raise ResourceError(f"line speaks of a group that regexp does not have: {error}") from None

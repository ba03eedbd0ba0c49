"""The `blockinfile` kind."""

from __future__ import annotations

import re
from typing import Iterator, List, Literal

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._editing import EditedFile, check_expression, ended, split_lines

EXAMPLE = """
- name: names of the lab machines
  blockinfile:
    path: /etc/hosts
    marker: "# {mark} lab machines"
    block: |
      192.0.2.11 gpu1
      192.0.2.12 gpu2
"""


@dataclass
class BlockInFile(EditedFile):
    """Some lines of a text file between two marker lines.

    Taken back exactly: the file is kept before it is changed.
    """

    kind = "blockinfile"
    aliases = {**EditedFile.aliases, "content": "block"}

    block: str = ""
    "The lines between the markers; nothing takes the block with its markers away."
    state: Literal["present", "absent"] = "present"
    "Whether the block should be there."
    marker: str = "# {mark} ANSIBLE MANAGED BLOCK"
    "The marker lines; `{mark}` becomes `marker_begin` in the first and `marker_end` in the last."
    marker_begin: str = "BEGIN"
    "What `{mark}` becomes before the block."
    marker_end: str = "END"
    "What `{mark}` becomes after the block."
    insertafter: str | None = None
    "Where a new block goes: after the last line that matches this expression, or `EOF`."
    insertbefore: str | None = None
    "Where a new block goes: before the last line that matches this expression, or `BOF`."
    create: bool = False
    "Whether a missing file is made, with the directories above it."
    append_newline: bool = False
    "Whether an empty line follows the block, when it is not the last thing in the file."
    prepend_newline: bool = False
    "Whether an empty line precedes the block, when it is not the first thing in the file."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from check_expression("insertafter", self.insertafter)
        yield from check_expression("insertbefore", self.insertbefore)
        if "{mark}" not in self.marker:
            yield "marker needs {mark}, or the two lines around the block cannot be told apart"
        if "\n" in self.marker + self.marker_begin + self.marker_end:
            yield "marker must be a single line"
        if self.marker_begin == self.marker_end:
            yield "marker_begin and marker_end must differ"
        if self.insertafter is not None and self.insertbefore is not None:
            yield "insertafter and insertbefore exclude each other"

    def makes_file(self) -> bool:
        return self.create

    def takes_away(self) -> bool:
        return self.state == "absent"

    def edit(self, text: str) -> str:
        lines = split_lines(text)
        first, last = (self.marker.replace("{mark}", one) for one in (self.marker_begin, self.marker_end))
        starts = [number for number, one in enumerate(lines) if one.rstrip("\r\n") == first]
        ends = [number for number, one in enumerate(lines) if one.rstrip("\r\n") == last]
        wanted = self.state == "present" and bool(self.block)
        if starts and ends:
            at, to = sorted((starts[-1], ends[-1]))
            del lines[at : to + 1]
        elif wanted:
            at = self._place(text, lines)
        else:
            return text
        if not wanted:
            return "".join(lines)
        if at:
            lines[at - 1] = ended(lines[at - 1])
        block = [first + "\n", *split_lines(ended(self.block)), last + "\n"]
        if self.prepend_newline and at and lines[at - 1].strip("\r\n"):
            block.insert(0, "\n")
        if self.append_newline and at < len(lines) and lines[at].strip("\r\n"):
            block.append("\n")
        lines[at:at] = block
        return "".join(lines)

    def _place(self, text: str, lines: List[str]) -> int:
        """Where a new block goes, as the number of the line it comes before."""
        if self.insertbefore == "BOF":
            return 0
        where = self.insertafter if self.insertafter is not None else self.insertbefore
        if where is None or where == "EOF":
            return len(lines)
        expression = re.compile(where)
        if expression.flags & re.MULTILINE:
            match = expression.search(text)
            hits = [text.count("\n", 0, match.end() if self.insertafter else match.start())] if match else []
        else:
            hits = [number for number, one in enumerate(lines) if expression.search(one)]
        if not hits:
            return len(lines)
        return hits[-1] + 1 if self.insertafter is not None else hits[-1]

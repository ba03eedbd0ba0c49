"""The `ini_file` kind."""

from __future__ import annotations

import re
from typing import Iterator, List, Literal, Optional, Tuple

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._editing import EditedFile, ended, split_lines

EXAMPLE = """
- name: memory of the WSL machine
  ini_file:
    path: /etc/wsl.conf
    section: boot
    option: systemd
    value: "true"
"""

_HEADER = re.compile(r"\s*\[(.+?)\]\s*(?:[#;].*)?$")


@dataclass
class IniFile(EditedFile):
    """An option of an INI file, or a whole section.

    Taken back exactly: the file is kept before it is changed.
    """

    kind = "ini_file"
    aliases = {**EditedFile.aliases, "exclusive": "exclusively"}

    section: str | None = None
    "The section, without its brackets; options before the first section when left out."
    option: str | None = None
    "The option; when left out the section itself is meant."
    value: str | None = None
    "The option's value."
    values: List[str] | None = None
    "Values of an option that may stand there several times; instead of `value`."
    state: Literal["present", "absent"] = "present"
    "Whether the option or section should be there."
    exclusively: bool = True
    "Whether these are the only values of the option; otherwise they are added to, or taken from, the others."
    no_extra_spaces: bool = False
    "Whether `=` stands without spaces around it."
    ignore_spaces: bool = False
    "Whether a line that differs only in the spaces around `=` stays as it is."
    allow_no_value: bool = False
    "Whether an option may stand there without `=` and a value."
    modify_inactive_option: bool = True
    "Whether an option that is commented out is turned into the active one."
    create: bool = True
    "Whether a missing file is made, with the directories above it."
    follow: bool = False
    "Whether a link at the path is followed; otherwise a file takes its place."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        if self.value is not None and self.values is not None:
            yield "value and values exclude each other"
        if self.state == "present" and self.option and not self._wanted() and not self.allow_no_value:
            yield f"option {self.option} needs a value, or allow_no_value: true"
        if self.option is None and self._wanted():
            yield "value needs option, whose value it is"
        if self.option is None and not self.section:
            yield "one of section and option is needed"

    def makes_file(self) -> bool:
        return self.create

    def takes_away(self) -> bool:
        return self.state == "absent"

    def follows(self) -> bool:
        return self.follow

    def edit(self, text: str) -> str:
        lines = split_lines(text)
        header, start, end = self._section(lines)
        if self.state == "absent":
            if header is None and self.section:
                return text
            if self.option is None:
                return "".join(lines[: header or 0] + lines[end:])
            return "".join(lines[:start] + self._without(lines[start:end]) + lines[end:])
        if header is None and self.section:
            lines = [*lines[:-1], ended(lines[-1])] if lines else []
            lines.append(f"[{self.section}]\n")
            start = end = len(lines)
        if self.option is None:
            return "".join(lines)
        return "".join(lines[:start] + self._with(lines[start:end]) + lines[end:])

    def _wanted(self) -> List[str]:
        return list(self.values) if self.values is not None else [self.value] if self.value is not None else []

    def _section(self, lines: List[str]) -> Tuple[Optional[int], int, int]:
        """Number of the header (None without one), of the first line inside, and of the first one behind."""
        headers = [(number, match[1]) for number, one in enumerate(lines) for match in [_HEADER.match(one)] if match]
        if not self.section:
            return None, 0, headers[0][0] if headers else len(lines)
        for place, (number, name) in enumerate(headers):
            if name == self.section:
                return number, number + 1, headers[place + 1][0] if place + 1 < len(headers) else len(lines)
        return None, len(lines), len(lines)

    def _value_of(self, line: str, inactive: bool = False) -> Tuple[bool, Optional[str]]:
        """Whether the line is the option's, commented out when `inactive`, and its value (None without one)."""
        text, name = line.rstrip("\r\n"), (self.option or "").lstrip(" \t")
        if inactive and not text.startswith(("#", ";")):
            return False, None
        text = text[inactive:].lstrip(" \t")
        rest = text[len(name):].lstrip(" \t")
        if not text.startswith(name) or (rest and not rest.startswith("=")):
            return False, None
        if inactive and not rest and not self.allow_no_value:
            return False, None
        return True, rest[1:].strip(" \t") if rest else None

    def _line(self, value: Optional[str]) -> str:
        if value is None:
            return f"{self.option}\n"
        return f"{self.option}={value}\n" if self.no_extra_spaces else f"{self.option} = {value}\n"

    def _without(self, inside: List[str]) -> List[str]:
        gone = self._wanted()
        kept = []
        for one in inside:
            ours, value = self._value_of(one)
            if not ours or (not self.exclusively and gone and value not in gone):
                kept.append(one)
        return kept

    def _with(self, inside: List[str]) -> List[str]:
        """The lines of the section with the option as asked."""
        missing: List[Optional[str]] = list(self._wanted()) or [None]
        lines: List[Optional[str]] = list(inside)
        spare: List[int] = []
        for number, one in enumerate(inside):
            ours, value = self._value_of(one)
            if not ours:
                continue
            if value in missing:
                missing.remove(value)
                lines[number] = one if self.ignore_spaces else self._line(value)
            else:
                spare.append(number)
        if self.exclusively:
            for number in spare:
                lines[number] = self._line(missing.pop(0)) if missing else None
        if self.modify_inactive_option:
            for number, one in enumerate(inside):
                ours, value = self._value_of(one, inactive=True)
                if ours and missing and (self.exclusively or value in missing):
                    chosen = value if value in missing else missing[0]
                    missing.remove(chosen)
                    lines[number] = self._line(chosen)
        found = [one for one in lines if one is not None]
        place = len(found)
        while place and not found[place - 1].strip():
            place -= 1
        if missing and place:
            found[place - 1] = ended(found[place - 1])
        found[place:place] = [self._line(one) for one in missing]
        return found

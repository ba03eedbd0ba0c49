"""The `replace` kind."""

from __future__ import annotations

import re
from typing import Iterator

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._editing import EditedFile, check_expression

EXAMPLE = """
- name: the service listens on all addresses
  replace:
    path: /etc/inference/settings
    regexp: '^listen = 127\\.0\\.0\\.1$'
    replace: listen = 0.0.0.0
"""


@dataclass
class Replace(EditedFile):
    """Every match of an expression in a text file, replaced.

    Taken back exactly: the file is kept before it is changed.
    """

    kind = "replace"

    regexp: str = ""
    "Expression, with `^` and `$` at every line; all its matches are replaced."
    replace: str = ""
    "What takes a match's place; `\\1` and `\\g<name>` are its groups. Nothing removes the match."
    after: str | None = None
    "Only what follows the first match of this expression is looked at (`.` matches a newline too)."
    before: str | None = None
    "Only what precedes a match of this expression is looked at."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        if not self.regexp:
            yield "regexp is needed: what is to be replaced"
        yield from check_expression("regexp", self.regexp, re.MULTILINE)
        yield from check_expression("after", self.after, re.DOTALL)
        yield from check_expression("before", self.before, re.DOTALL)

    def edit(self, text: str) -> str:
        start, end = 0, len(text)
        if self.after or self.before:
            inner = ".*?" if self.after and self.before else ".*"
            match = re.search(f"{self.after or ''}(?P<subsection>{inner}){self.before or ''}", text, re.DOTALL)
            if match is None:
                return text
            start, end = match.span("subsection")
        try:
            inside = re.sub(self.regexp, self.replace, text[start:end], flags=re.MULTILINE)
        except (re.error, IndexError) as error:
            raise ResourceError(f"replace speaks of a group that regexp does not have: {error}") from None
        return text[:start] + inside + text[end:]

"""The `command` kind."""

from __future__ import annotations

import re
import shlex
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._running import Running

EXAMPLE = """
- name: the model is converted once
  command:
    argv: [python3, convert.py, --out, /srv/models/quantised]
    chdir: /opt/inference
    creates: /srv/models/quantised
"""


@dataclass
class Command(Running):
    """A program that is run, without a shell.

    What it did cannot be read back, so it is irreversible unless the task says how with `undo:`. Without `creates`,
    `removes` or `when` it runs every time.
    """

    kind = "command"

    argv: List[str] | None = None
    "The program and its arguments one by one, instead of `cmd`."
    stdin: str | None = None
    "Text the program reads from its standard input."
    stdin_add_newline: bool = True
    "Whether a newline follows `stdin`."
    strip_empty_ends: bool = True
    "Whether newlines at the end of the output are left out of the result."
    expand_argument_vars: bool = True
    "Whether `$NAME` in an argument becomes the value of that environment variable."

    def validate(self) -> Iterator[str]:
        if (self.cmd is None) == (self.argv is None):
            yield "command needs what to run: cmd or argv" if self.cmd is None else "cmd and argv exclude each other"
        if self.argv is not None and not any(self.argv):
            yield "argv is empty"
        if self.cmd is not None:
            try:
                if not shlex.split(self.cmd):
                    yield "cmd is empty"
            except ValueError as error:
                yield f"cmd cannot be split into words: {str(error).lower()}"

    def shown(self) -> str:
        return self.cmd if self.cmd is not None else shlex.join(self.argv or [])

    def argv_on(self, host: Host) -> List[str]:
        words = list(self.argv) if self.argv is not None else shlex.split(self.cmd or "")
        if not self.expand_argument_vars:
            return words
        environment = host.command_environment()
        return [expand_variables(host.expand(one), environment) for one in words]

    def converge(self, now: Any, host: Host) -> None:
        self._run(host, self.argv_on(host), standard_input(self.stdin, self.stdin_add_newline), self.strip_empty_ends)


def standard_input(text: str | None, newline: bool) -> str:
    """What a program reads, with a newline at its end unless there is one."""
    if text is None:
        return ""
    return text + "\n" if newline and not text.endswith("\n") else text


def expand_variables(word: str, environment: Dict[str, str]) -> str:
    """`$NAME` and `${NAME}` from the environment; unknown ones stay as they are."""
    def value(found: re.Match[str]) -> str:
        return environment.get(found[1] or found[2], found[0])

    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, word) if "$" in word else word

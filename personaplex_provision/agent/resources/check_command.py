"""The `check_command` kind."""

from __future__ import annotations

import shlex
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resources._check import Check, Matcher, ask, last_lines, require_positive

EXAMPLE = """
- name: pip finds nothing amiss
  check_command:
    argv: [/opt/app/.venv/bin/python, -m, pip, check]
    stdout: {contains: No broken requirements}
"""


@dataclass
class CheckCommand(Check):
    """What a program answers that only reads. It is run without a shell, and may be run many times."""

    kind = "check_command"
    free_form = "cmd"
    matched = ("rc", "stdout", "stderr")

    cmd: str | None = None
    "The program and its arguments."
    argv: List[str] | None = None
    "The same one by one, instead of `cmd`."
    chdir: str | None = None
    "Directory to run in."
    stdin: str | None = None
    "Text the program reads."
    timeout: float = 60.0
    "Seconds after which it is killed, which is a failure."
    rc: Matcher | None = field(default_factory=lambda: {"equals": 0})
    "Its exit status."
    stdout: Matcher | None = None
    "What it writes, without the newline at the end."
    stderr: Matcher | None = None
    "What it writes to standard error."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if (self.cmd is None) == (self.argv is None):
            none = self.cmd is None
            yield "check_command needs what to run: cmd or argv" if none else "cmd and argv exclude each other"
        try:
            if self.cmd is not None and not shlex.split(self.cmd):
                yield "cmd is empty"
        except ValueError as error:
            yield f"cmd cannot be split into words: {str(error).lower()}"

    def title(self) -> str:
        text = self.cmd if self.cmd is not None else shlex.join(self.argv or [])
        return text if len(text) <= 80 else f"{text[:77]}..."

    def look(self, host: Host) -> Dict[str, Any]:
        words = list(self.argv) if self.argv is not None else shlex.split(self.cmd or "")
        chdir = host.expand(self.chdir) if self.chdir else ""
        found = ask(host, [host.expand(one) for one in words], self.timeout, stdin=self.stdin or "", chdir=chdir)
        return {"rc": found.rc, "stdout": found.stdout.rstrip("\n"), "stderr": found.stderr.rstrip("\n"),
                "detail": last_lines(found)}

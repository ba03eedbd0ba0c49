"""The `shell` kind."""

from __future__ import annotations

from typing import Any, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._running import Running
from personaplex_provision.agent.resources.command import standard_input

EXAMPLE = """
- name: a swap file
  shell: |
    fallocate -l 8G /swapfile
    chmod 0600 /swapfile
    mkswap /swapfile
  args:
    creates: /swapfile
"""


@dataclass
class Shell(Running):
    """A text that is run by a shell.

    What it did cannot be read back, so it is irreversible unless the task says how with `undo:`. Without `creates`,
    `removes` or `when` it runs every time.
    """

    kind = "shell"

    executable: str = "/bin/sh"
    "The shell, as an absolute path."
    stdin: str | None = None
    "Text the shell's commands read from standard input."
    stdin_add_newline: bool = True
    "Whether a newline follows `stdin`."
    strip_empty_ends: bool = True
    "Whether newlines at the end of the output are left out of the result."

    def validate(self) -> Iterator[str]:
        if not (self.cmd or "").strip():
            yield "shell needs what to run: cmd"
        if not self.executable.startswith("/"):
            yield f"executable {self.executable} must be an absolute path"

    def argv_on(self, host: Host) -> List[str]:
        return [self.executable, "-c", self.cmd or ""]

    def converge(self, now: Any, host: Host) -> None:
        stdin = standard_input(self.stdin, self.stdin_add_newline)
        self._run(host, self.argv_on(host), stdin, self.strip_empty_ends, label=self.cmd)

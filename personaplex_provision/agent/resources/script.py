"""The `script` kind."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from typing import Any, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources._running import Running
from personaplex_provision.agent.values import Blob

EXAMPLE = """
- name: the disks are prepared once
  script: prepare-disks.sh --quiet
  args:
    creates: /srv/.prepared
"""


@dataclass
class Script(Running):
    """A script of the controller that is run on the target.

    What it did cannot be read back, so it is irreversible unless the task says how with `undo:`. Without `creates`,
    `removes` or `when` it runs every time.
    """

    kind = "script"

    content: Blob | None = None
    "The script's text; filled in from the file that `cmd` names first."
    executable: str | None = None
    "Program that reads the script; what its `#!` line says when left out, else /bin/sh."

    def validate(self) -> Iterator[str]:
        if not self.cmd:
            yield "script needs cmd: the script's path and its arguments"
            return
        try:
            shlex.split(self.cmd)
        except ValueError as error:
            yield f"cmd cannot be split into words: {str(error).lower()}"

    def converge(self, now: Any, host: Host) -> None:
        words = shlex.split(self.cmd or "")
        data = host.blob(self.content) if self.content is not None else b""
        handle, path = tempfile.mkstemp(prefix="provision-", suffix=f"-{os.path.basename(words[0])}")
        try:
            with open(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o700)
                file.write(data)
            self._run(host, [*self._interpreter(data), path, *words[1:]], label=self.cmd)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _interpreter(self, data: bytes) -> List[str]:
        """What reads the script; named outright, since programs in /tmp may not be allowed to run."""
        if self.executable:
            return shlex.split(self.executable)
        first = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        return first[2:].strip().split(None, 1) if first.startswith("#!") else ["/bin/sh"]

"""Values that must not be seen, and every place in which they could be."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from tests.lab.host import LabHost


def canary(source: str, turn: int = 1) -> str:
    """A value that betrays where it came from, with letters that encodings change."""
    return f"can/ary+{source}=%{turn}&?z"


def forms(value: str) -> set[bytes]:
    """The value as it is, in JSON and URLs, and inside base64 wherever it begins."""
    data = value.encode()
    found = {data, json.dumps(value)[1:-1].encode(), quote(value, safe="").encode(), quote_plus(value).encode()}
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + data)
        found.add(whole[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6])
        found.add(base64.urlsafe_b64encode(b"\0" * shift + data)[(0, 2, 3)[shift] : (shift + len(data)) * 8 // 6])
    return found


def seen(data: bytes, values: list[str]) -> list[str]:
    """Which of the values are in it, in whatever form."""
    return [one for one in values if any(form in data for form in forms(one))]


class Place(NamedTuple):
    """Where a value was found."""

    path: str
    value: str
    mode: int


def found_below(root: Path, values: list[str]) -> list[Place]:
    """Every file below a directory that holds one of the values."""
    places = []
    for path in root.rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size < 4 << 20:
            for value in seen(path.read_bytes(), values):
                places.append(Place(f"/{path.relative_to(root)}", value, stat.S_IMODE(status.st_mode)))
    return places


WATCH = """
import os, sys, time
forms = [bytes.fromhex(one) for one in sys.stdin.read().split()]
looked = 0
while not os.path.exists("/run/watched"):
    for process in os.listdir("/proc"):
        if process.isdigit() and int(process) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{process}/{name}", "rb") as file:
                        data = file.read()
                except OSError:
                    continue
                looked += 1
                if any(form in data for form in forms):
                    print("SEEN", name, data, flush=True)
    time.sleep(0.02)
os.unlink("/run/watched")
print("LOOKED", looked)
"""
"Looks at every process of the host until the file is there; what to look for comes over standard input."


class Watcher:
    """Looks at a host's processes while something runs there."""

    def __init__(self, host: LabHost, values: list[str]) -> None:
        self.host = host
        wanted = " ".join(form.hex() for value in values for form in forms(value))
        self._process = subprocess.Popen(
            [*host.entrance(), "python3", "-c", WATCH], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(wanted)
        self._process.stdin.close()
        self._process.stdin = None

    def finish(self) -> str:
        """Stops looking; what was seen, and how often it looked."""
        self.host.enter(["touch", "/run/watched"])
        return self._process.communicate(timeout=60)[0]

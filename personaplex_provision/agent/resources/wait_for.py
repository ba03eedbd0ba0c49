"""The `wait_for` kind."""

from __future__ import annotations

import os
import re
import socket
import time
from typing import Any, Dict, Iterator, List, Literal, Optional

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._editing import check_expression
from personaplex_provision.agent.resources._effectless import Effectless

EXAMPLE = """
- name: the service answers
  wait_for:
    port: 8998
    timeout: 120
"""

_CLOSED = {"06", "07"}
"""States of a connection in /proc/net/tcp that hold nothing any more: TIME_WAIT and CLOSE."""


@dataclass
class WaitFor(Effectless):
    """Waits until a port or a path is as asked, and fails when that takes too long.

    It changes nothing, so there is nothing to take back. While planning it does not wait.
    """

    kind = "wait_for"

    host: str = "127.0.0.1"
    "Address or name the port is on."
    port: int | None = None
    "TCP port to connect to."
    path: str | None = None
    "Path to look for, instead of a port."
    state: Literal["started", "present", "stopped", "absent", "drained"] = "started"
    "What to wait for: that it is there (`started`, `present`), gone, or without connections (`drained`)."
    search_regex: str | None = None
    "Expression that the file holds, or that the port says after connecting."
    timeout: float = 300
    "Seconds to wait at most."
    delay: float = 0
    "Seconds before the first look."
    sleep: float = 1
    "Seconds between two looks."
    connect_timeout: float = 5
    "Seconds a single connection may take."
    msg: str | None = None
    "What is said when it takes too long."

    def validate(self) -> Iterator[str]:
        yield from check_expression("search_regex", self.search_regex, re.MULTILINE)
        if self.port is not None and self.path is not None:
            yield "port and path exclude each other"
        if self.port is not None and not 0 < self.port < 65536:
            yield f"port {self.port} is outside 1 to 65535"
        if self.state == "drained" and self.port is None:
            yield "state drained needs port"
        if self.search_regex and self.state not in ("started", "present"):
            yield "search_regex needs state started or present"
        if self.sleep <= 0:
            yield "sleep must be more than 0"

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        """Waits, since this is the one place that is passed exactly once when the task is carried out."""
        found: Dict[str, Any] = {name: getattr(self, name) for name in ("state", "port", "path", "search_regex")}
        if host.planning:
            return found
        began = time.monotonic()
        end = began + self.timeout
        time.sleep(min(self.delay, self.timeout))
        if self.port is None and self.path is None:
            time.sleep(max(end - time.monotonic(), 0))
            return {**found, "elapsed": int(time.monotonic() - began)}
        while True:
            match = self._look(host)
            elapsed = int(time.monotonic() - began)
            if match is not None:
                return {**found, "elapsed": elapsed, **match}
            if time.monotonic() + self.sleep > end:
                said = self.msg or f"{self._what()} did not happen within {self.timeout:g} seconds"
                raise ResourceError(said, result={"elapsed": elapsed, "msg": said})
            time.sleep(self.sleep)

    def _what(self) -> str:
        where = f"port {self.port} of {self.host}" if self.port is not None else str(self.path)
        return f"{where} {self.state}" + (f" and saying {self.search_regex}" if self.search_regex else "")

    def _look(self, host: Host) -> Optional[Dict[str, Any]]:
        """What there is to report when it is as asked, else None."""
        if self.state == "drained":
            return {} if not _connections(self.port or 0) else None
        there = self._port() if self.port is not None else self._file(host)
        if self.state in ("stopped", "absent"):
            return {} if there is None else None
        return there

    def _file(self, host: Host) -> Optional[Dict[str, Any]]:
        path = host.expand(self.path or "")
        if not host.stat(path, follow=True).exists:
            return None
        if not self.search_regex:
            return {}
        try:
            return _groups(re.search(self.search_regex, host.read_text(path), re.MULTILINE))
        except OSError:
            return None

    def _port(self) -> Optional[Dict[str, Any]]:
        try:
            with socket.create_connection((self.host, self.port or 0), self.connect_timeout) as link:
                return self._said(link) if self.search_regex else {}
        except OSError:
            return None

    def _said(self, link: socket.socket) -> Optional[Dict[str, Any]]:
        """What the port says, until it fits the expression, ends, or takes longer than a connection may."""
        data, end = b"", time.monotonic() + max(self.connect_timeout, 1)
        while time.monotonic() < end and len(data) < 1 << 20:
            link.settimeout(max(end - time.monotonic(), 0.01))
            try:
                piece = link.recv(4096)
            except OSError:
                break
            data += piece
            match = re.search(self.search_regex or "", data.decode("utf-8", "replace"), re.MULTILINE)
            if match:
                return _groups(match)
            if not piece:
                break
        return None


def _groups(match: Optional[re.Match[str]]) -> Optional[Dict[str, Any]]:
    if match is None:
        return None
    return {"match_groups": list(match.groups()), "match_groupdict": match.groupdict()}


def _connections(port: int) -> List[str]:
    """The connections of a local port, as rows of /proc/net/tcp; the one that listens is none."""
    found = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(name):
            continue
        with open(name, encoding="ascii") as file:
            for row in file.readlines()[1:]:
                words = row.split()
                if int(words[1].rsplit(":", 1)[1], 16) == port and words[3] not in {*_CLOSED, "0A"}:
                    found.append(row)
    return found

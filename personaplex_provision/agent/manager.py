"""systemd's manager, asked over the socket by which systemctl asks it as root: no process for each question.

It is only asked, never told to do anything. What cannot be answered for certain is None, and left to systemctl.
Sources: systemd's `org.freedesktop.systemd1(5)` and, for how answers are printed, `systemctl(1)`.
"""

from __future__ import annotations

import re
import threading
from typing import Any, List, Optional, Sequence

from personaplex_provision.agent import dbus

SOCKET = "/run/systemd/private"
_PATIENCE = 5.0
"Seconds after which systemctl is left to wait for a manager that is busy."
_NAME = "org.freedesktop.systemd1"
_UNIT = f"{_NAME}.Unit"
_OF_TYPE = {
    ("service", "Type"): f"{_NAME}.Service", ("service", "RemainAfterExit"): f"{_NAME}.Service",
    ("mount", "Type"): f"{_NAME}.Mount",
}
"Suffix and property -> interface, for those that not every unit has."
_ONLY_OF_TYPE = {name for _, name in _OF_TYPE}


class Manager:
    """The manager of this host's system units; a connection is made when something is asked, and kept until `rest`."""

    def __init__(self, socket: str = SOCKET) -> None:
        self._socket = socket
        self._connection: Optional[dbus.Connection] = None
        self._lock = threading.Lock()

    def show(self, unit: str, names: Sequence[str]) -> Optional[str]:
        """What `systemctl show UNIT --property=NAMES` prints, if not in the same order."""
        values = self._properties(unit, names)
        if values is None:
            return None
        return "".join(f"{name}={_printed(value)}\n" for name, value in values.items())

    def cat(self, unit: str) -> Optional[str]:
        """What `systemctl cat UNIT` prints: the unit's file and its drop-ins."""
        said = self._properties(unit, ("LoadState", "NeedDaemonReload", "FragmentPath", "DropInPaths"))
        if said is None or said["LoadState"] != "loaded" or said["NeedDaemonReload"] or not said["FragmentPath"]:
            return None
        found = []
        try:
            for path in (said["FragmentPath"], *said["DropInPaths"]):
                with open(path, encoding="utf-8", errors="replace") as file:
                    found.append(f"# {path}\n{file.read()}")
        except OSError:
            return None
        return "\n".join(found)

    def stale(self) -> Optional[str]:
        """What `systemctl show * --property=NeedDaemonReload --all` prints."""
        listed = self._ask([(_object(""), f"{_NAME}.Manager", "ListUnits", ())])
        if listed is None:
            return None
        said = self._ask([_get(unit[6], _UNIT, "NeedDaemonReload") for unit in listed[0][0]])
        return None if said is None else "\n".join(f"NeedDaemonReload={_printed(value)}\n" for (value,) in said)

    def _properties(self, unit: str, names: Sequence[str]) -> Optional[dict[str, Any]]:
        """Those of `names` that a unit of its type has, by name."""
        plain = re.fullmatch(r"[\w:.\\-]+(?:@[\w:.\\@-]+)?\.([a-z]+)", unit, re.ASCII)
        if plain is None or len(unit) > 255:
            return None
        wanted = {name: _OF_TYPE.get((plain[1], name), "" if name in _ONLY_OF_TYPE else _UNIT) for name in names}
        wanted = {name: interface for name, interface in wanted.items() if interface}
        path = _object(f"/unit/{_escaped(unit)}")
        said = self._ask([_get(path, interface, name) for name, interface in wanted.items()])
        return None if said is None else {name: value for name, (value,) in zip(wanted, said)}

    def _ask(self, calls: Sequence[dbus.Call]) -> Optional[List[List[Any]]]:
        with self._lock:
            for kept in (True, False):
                if kept and self._connection is None:
                    continue
                try:
                    self._connection = self._connection or _connect(self._socket)
                    return self._connection.ask(_NAME, calls)
                except (OSError, dbus.Unexpected):  # one that was kept ends when systemd is started anew
                    self._drop()
        return None

    def rest(self) -> None:
        """Hangs up: whoever listens is told of all that systemd does, and what is not read piles up there."""
        if self._lock.acquire(blocking=False):  # who is asking now does not keep others from their work
            try:
                self._drop()
            finally:
                self._lock.release()

    def __del__(self) -> None:
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(path: str) -> dbus.Connection:
    import _socket  # without what the standard library wraps it in

    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        peer.settimeout(_PATIENCE)
        peer.connect(path)
        return dbus.Connection(peer)
    except BaseException:
        peer.close()
        raise


def _get(path: str, interface: str, name: str) -> dbus.Call:
    return path, "org.freedesktop.DBus.Properties", "Get", (interface, name)


def _object(path: str) -> str:
    return f"/org/freedesktop/systemd1{path}"


def _escaped(unit: str) -> str:
    """A unit's name as its object's path has it."""
    found = re.sub(r"[^A-Za-z0-9]", lambda one: f"_{ord(one[0]):02x}", unit)
    return f"_{ord(found[0]):02x}{found[1:]}" if found[0].isdigit() else found


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):  # of a job its number and its object
        return str(value[0] or "")
    return str(value)
